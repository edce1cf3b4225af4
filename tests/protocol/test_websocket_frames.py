"""RFC 6455 on our side of a WebSocket: sizes, pings, reserved bits and opcodes, fragments, limits."""

import pytest

from tests.protocol.cases import PROTOCOL_ERROR, TOO_BIG, Case, holds, table
from tests.protocol.echo import EchoServer
from tests.protocol.polling import upgraded
from tests.protocol.wire import (
    BINARY,
    TEXT,
    Frame,
    Wire,
    binary,
    close,
    fragments,
    more,
    ping,
    pong,
    text,
    without_reasons,
)

LIMIT = 65_536
HELLO = text("4hello ✓")


def message(opcode: int, size: int) -> Frame:
    """A message of `size` octets, of which the first is Engine.IO's type if it is text."""
    return text("4" + "*" * (size - 1)) if opcode == TEXT else binary(bytes(n % 251 for n in range(size)))


def sizes() -> list[Case]:
    cases: list[Case] = []
    for opcode in (TEXT, BINARY):
        whole = [message(opcode, size) for size in (opcode == TEXT, 125, 126, 127, 128, 65_535, LIMIT)]
        cases += [Case(f"1.{opcode}.{n}", (one,), (one,)) for n, one in enumerate(whole, 1)]
        cases += [Case(f"1.{opcode}.8", (whole[-1],), (whole[-1],), chop=997)]
    return cases


@table(*sizes())
async def test_messages_of_all_sizes_come_back(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


@table(
    Case("2.1", (ping(),), (pong(),)),
    Case("2.2", (ping(b"hello"),), (pong(b"hello"),)),
    Case("2.3", (ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),), (pong(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),)),
    Case("2.4", (ping(b"\xfe" * 125),), (pong(b"\xfe" * 125),)),
    Case("2.5", (ping(b"\xfe" * 126),), end=PROTOCOL_ERROR),
    Case("2.6", (ping(b"\xfe" * 125),), (pong(b"\xfe" * 125),), chop=1),
    Case("2.7", (pong(),)),
    Case("2.8", (pong(b"unasked"),)),
    Case("2.9", (pong(b"unasked"), ping(b"asked")), (pong(b"asked"),)),
    Case("2.10", tuple(ping(b"%d" % n) for n in range(10)), tuple(pong(b"%d" % n) for n in range(10))),
    Case(
        "2.11", tuple(ping(b"%d" % n) for n in range(10)), tuple(pong(b"%d" % n) for n in range(10)), chop=1
    ),
)
async def test_pings_are_answered_and_pongs_are_not(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


@table(
    Case("3.1", (text("4hello", rsv=1),), end=PROTOCOL_ERROR),
    Case("3.2", (HELLO, text("4hello", rsv=2), ping()), (HELLO,), PROTOCOL_ERROR),
    Case("3.3", (HELLO, text("4hello", rsv=3), ping()), (HELLO,), PROTOCOL_ERROR, chop=16),
    Case("3.4", (HELLO, text("4hello", rsv=4), ping()), (HELLO,), PROTOCOL_ERROR, chop=1),
    Case("3.5", (binary(b"\x01\x02", rsv=5),), end=PROTOCOL_ERROR),
    Case("3.6", (ping(b"hello", rsv=6),), end=PROTOCOL_ERROR),
    Case("3.7", (close(1000, rsv=7),), end=PROTOCOL_ERROR),
)
async def test_reserved_bits_are_refused(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


@table(
    Case("4.1.1", (Frame(3),), end=PROTOCOL_ERROR),
    Case("4.1.2", (Frame(4, b"reserved"),), end=PROTOCOL_ERROR),
    Case("4.1.3", (HELLO, Frame(5), ping()), (HELLO,), PROTOCOL_ERROR),
    Case("4.1.4", (HELLO, Frame(6, b"reserved"), ping()), (HELLO,), PROTOCOL_ERROR),
    Case("4.1.5", (HELLO, Frame(7, b"reserved"), ping()), (HELLO,), PROTOCOL_ERROR, chop=1),
    Case("4.2.1", (Frame(11),), end=PROTOCOL_ERROR),
    Case("4.2.2", (Frame(12, b"reserved"),), end=PROTOCOL_ERROR),
    Case("4.2.3", (HELLO, Frame(13), ping()), (HELLO,), PROTOCOL_ERROR),
    Case("4.2.4", (HELLO, Frame(14, b"reserved"), ping()), (HELLO,), PROTOCOL_ERROR),
    Case("4.2.5", (HELLO, Frame(15, b"reserved"), ping()), (HELLO,), PROTOCOL_ERROR, chop=1),
)
async def test_reserved_opcodes_are_refused(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


TWO = (text("4frag", fin=False), more(b"ment", fin=True))
WHOLE = text("4fragment")
FIVE = fragments(text("4a message in five parts"), 5)
FIVE_WITH_PINGS = (*FIVE[:2], ping(b"1"), *FIVE[2:4], ping(b"2"), FIVE[4])
PONGED = (pong(b"1"), pong(b"2"), text("4a message in five parts"))
STRAY, LAST_STRAY = more(b"nothing to go on with"), more(b"nothing to go on with", fin=True)


@table(
    Case("5.1", (Frame(9, b"frag", fin=False), more(b"ment", fin=True)), end=PROTOCOL_ERROR),
    Case("5.2", (Frame(10, b"frag", fin=False), more(b"ment", fin=True)), end=PROTOCOL_ERROR),
    Case("5.2-close", (Frame(8, b"\x03", fin=False), more(b"\xe8", fin=True)), end=PROTOCOL_ERROR),
    Case("5.3", TWO, (WHOLE,)),
    Case("5.4", TWO, (WHOLE,), chop=7),
    Case("5.5", TWO, (WHOLE,), chop=1),
    Case("5.6", (TWO[0], ping(b"within"), TWO[1]), (pong(b"within"), WHOLE)),
    Case("5.7", (TWO[0], ping(b"within"), TWO[1]), (pong(b"within"), WHOLE), chop=7),
    Case("5.8", (TWO[0], ping(b"within"), TWO[1]), (pong(b"within"), WHOLE), chop=1),
    Case("5.9", (LAST_STRAY, HELLO), end=PROTOCOL_ERROR),
    Case("5.10", (LAST_STRAY, HELLO), end=PROTOCOL_ERROR, chop=7),
    Case("5.11", (LAST_STRAY, HELLO), end=PROTOCOL_ERROR, chop=1),
    Case("5.12", (STRAY, HELLO), end=PROTOCOL_ERROR),
    Case("5.13", (STRAY, HELLO), end=PROTOCOL_ERROR, chop=7),
    Case("5.14", (STRAY, HELLO), end=PROTOCOL_ERROR, chop=1),
    Case("5.15", (*TWO, LAST_STRAY, HELLO), (WHOLE,), PROTOCOL_ERROR),
    Case("5.16", (STRAY, *TWO, STRAY, *TWO), end=PROTOCOL_ERROR),
    Case("5.17", (LAST_STRAY, *TWO, LAST_STRAY, *TWO), end=PROTOCOL_ERROR),
    Case("5.18", (text("4one", fin=False), text("4two")), end=PROTOCOL_ERROR),
    Case("5.18-binary", (text("4one", fin=False), binary(b"two")), end=PROTOCOL_ERROR),
    Case("5.19", FIVE_WITH_PINGS, PONGED),
    Case("5.20", FIVE_WITH_PINGS, PONGED, chop=1),
    Case("binary", tuple(fragments(binary(bytes(range(250))), 50)), (binary(bytes(range(250))),)),
    Case(
        "two messages, one in each form",
        (binary(b"\x01", fin=False), more(b"\x02", fin=True), *TWO),
        (binary(b"\x01\x02"), WHOLE),
    ),
    Case("empty fragments", (text("4", fin=False), *[more(b"")] * 500, more(b"x", fin=True)), (text("4x"),)),
)
async def test_fragments_become_one_message(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


def in_parts() -> list[Case]:
    cases: list[Case] = []
    for opcode, group in ((TEXT, "9.3"), (BINARY, "9.4")):
        whole = message(opcode, LIMIT)
        parts = ((64, 1), (256, 2), (1024, 3), (4096, 4), (16_384, 5), (LIMIT, 6))
        cases += [Case(f"{group}.{n}", tuple(fragments(whole, size)), (whole,)) for size, n in parts]
    for opcode, group in ((TEXT, "9.5"), (BINARY, "9.6")):
        for size, chop in ((2_000, 1), (LIMIT // 2, 7), (LIMIT, 1024)):
            whole = message(opcode, size)
            cases.append(Case(f"{group} by {chop}", (whole,), (whole,), chop=chop))
    small = tuple(message(TEXT, n + 1) for n in range(500))
    cases.append(Case("9.7", small, small))
    cases.append(Case("9.7 by 7", small[:100], small[:100], chop=7))
    whole = message(TEXT, LIMIT)
    cases.append(Case("10.1.1", tuple(fragments(whole, 1300)), (whole,)))
    return cases


@table(*in_parts())
async def test_messages_come_back_however_they_are_cut(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


def head(opcode: int, length: bytes, *, fin: bool = True) -> bytes:
    """A frame of which only the head was sent yet."""
    return Frame(opcode, fin=fin).encode(length=length)


@table(
    Case("one more", (head(TEXT, b"\x7f" + (LIMIT + 1).to_bytes(8, "big")),), end=TOO_BIG),
    Case("one more binary", (head(BINARY, b"\x7f" + (LIMIT + 1).to_bytes(8, "big")),), end=TOO_BIG),
    Case("a terabyte", (head(TEXT, b"\x7f" + (1 << 40).to_bytes(8, "big")),), end=TOO_BIG),
    Case("all of it", (HELLO, message(TEXT, LIMIT + 1)), (HELLO,), TOO_BIG),
    Case(
        "the second fragment is too much",
        (Frame(TEXT, b"4" * 60_000, fin=False), head(0, b"\x7e" + (5_537).to_bytes(2, "big"))),
        end=TOO_BIG,
    ),
    Case(
        "one octet too much, after pings",
        (
            *fragments(message(BINARY, LIMIT), 16_384)[:3],
            ping(b"x" * 125),
            ping(b"x" * 125),
            more(b"x" * 16_384),
            head(0, b"\x01"),
        ),
        (pong(b"x" * 125), pong(b"x" * 125)),
        TOO_BIG,
    ),
)
async def test_what_is_over_the_limit_is_refused_as_soon_as_its_head_says_so(
    echo: EchoServer, case: Case
) -> None:
    await holds(echo, case)


def sized(opcode: int, payload: bytes, length: bytes) -> bytes:
    return Frame(opcode, payload).encode(length=length)


@table(
    Case("five in 16 bits", (sized(TEXT, b"4four", b"\x7e\x00\x05"),), end=PROTOCOL_ERROR),
    Case("125 in 16 bits", (sized(TEXT, b"4" * 125, b"\x7e\x00\x7d"),), end=PROTOCOL_ERROR),
    Case("five in 64 bits", (sized(TEXT, b"4four", b"\x7f" + bytes(7) + b"\x05"),), end=PROTOCOL_ERROR),
    Case(
        "65535 in 64 bits",
        (sized(TEXT, b"4" * 65_535, b"\x7f" + (65_535).to_bytes(8, "big")),),
        end=PROTOCOL_ERROR,
    ),
    Case("the high bit", (head(TEXT, b"\x7f\x80" + bytes(6) + b"\x05"),), end=PROTOCOL_ERROR),
    Case("all bits", (head(BINARY, b"\x7f" + b"\xff" * 8),), end=PROTOCOL_ERROR),
    Case("a ping in 64 bits", (sized(9, b"x", b"\x7f" + bytes(7) + b"\x01"),), end=PROTOCOL_ERROR),
)
async def test_a_length_has_one_form(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


@pytest.mark.parametrize("frame", [HELLO, binary(b"hello"), ping(b"hello"), close(1000)])
async def test_frames_without_a_mask_are_refused(echo: EchoServer, frame: Frame) -> None:
    case = Case("unmasked", (HELLO, frame.encode(masked=False), HELLO), (HELLO,), PROTOCOL_ERROR)
    await holds(echo, case)


async def test_the_same_rules_hold_after_an_upgrade_from_polling(echo: EchoServer) -> None:
    from_polling = Case("", (*FIVE_WITH_PINGS, message(BINARY, LIMIT)), (*PONGED, message(BINARY, LIMIT)))
    async with upgraded(echo.url) as wire:
        await from_polling.holds(wire)
    async with upgraded(echo.url) as wire:
        await Case("", (HELLO, HELLO.encode(masked=False)), (HELLO,), PROTOCOL_ERROR).holds(wire)
    async with upgraded(echo.url) as wire:
        await Case("", (head(TEXT, b"\x7f" + (LIMIT + 1).to_bytes(8, "big")),), end=TOO_BIG).holds(wire)


async def test_text_and_binary_and_control_frames_keep_their_order(echo: EchoServer) -> None:
    said: list[Frame] = []
    heard: list[Frame] = []
    for n in range(50):
        said += [text(f"4{n}"), ping(b"%d" % n), binary(b"%d" % n)]
        heard += [text(f"4{n}"), binary(b"%d" % n)]
    async with Wire(echo.url) as wire:
        await wire.open()
        await wire.say(*said, close(1000))
        back = without_reasons(await wire.hear_all())
    assert [frame for frame in back if frame.opcode != 10] == [*heard, close(1000)]
    assert [frame for frame in back if frame.opcode == 10] == [pong(b"%d" % n) for n in range(50)]
