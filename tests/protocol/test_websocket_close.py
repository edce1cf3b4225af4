"""How a WebSocket ends (RFC 6455, section 7): by either side, by both, wrongly, or without a word."""

import pytest

from tests.clients import eventually
from tests.protocol.cases import PROTOCOL_ERROR, Case, holds, table
from tests.protocol.echo import DROP_ME, TOLD_TO, EchoServer, serve_echo, settings_for
from tests.protocol.wire import Frame, Wire, close, more, ping, text, without_reasons

HELLO = text("4hello")
POLICY = 1008
LONGEST_REASON = b"r" * 123
LARGE = text("4" + "*" * 60_000)


async def ends_with(echo: EchoServer, said: tuple[Frame | bytes, ...], heard: list[Frame]) -> str:
    """Say it, compare what comes back until the server closes; the reason that its application got."""
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(*said)
        assert without_reasons(await wire.hear_all()) == heard
        reason = await echo.echo.end_of(sid)
    assert [gone for gone, _ in echo.echo.went].count(sid) == 1
    return reason


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param((HELLO, close(1000)), [HELLO, close(1000)], id="7.1.1"),
        pytest.param((close(1000), close(1000)), [close(1000)], id="7.1.2"),
        pytest.param((close(1000), ping(b"late")), [close(1000)], id="7.1.3"),
        pytest.param((close(1000), HELLO), [close(1000)], id="7.1.4"),
        pytest.param((text("4fr", fin=False), close(1000), more(b"x", fin=True)), [close(1000)], id="7.1.5"),
        pytest.param((LARGE, close(1000), ping()), [LARGE, close(1000)], id="7.1.6"),
        pytest.param((close(1000), Frame(3), b"\xff" * 100), [close(1000)], id="garbage behind a close"),
        pytest.param((close(1000), close(1001)), [close(1000)], id="another code behind a close"),
    ],
)
async def test_a_close_is_answered_once_and_nothing_behind_it(
    echo: EchoServer, said: tuple[Frame | bytes, ...], heard: list[Frame]
) -> None:
    await ends_with(echo, said, heard)


async def test_a_close_without_a_code_is_answered(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        await wire.open()
        await wire.say(close())
        assert await wire.hear_all() in ([close()], [close(1000)])


@table(
    Case("7.3.2", (Frame(8, b"\x03"),), end=PROTOCOL_ERROR),
    Case("7.3.6", (close(1000, LONGEST_REASON + b"r"),), end=PROTOCOL_ERROR),
    Case("7.3.6-64", (close(1000, b"r" * 65_000),), end=PROTOCOL_ERROR),
    *(
        Case(f"7.9 {code}", (close(code),), end=PROTOCOL_ERROR)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)
    ),
)
async def test_a_close_that_is_none_is_a_protocol_error(echo: EchoServer, case: Case) -> None:
    await holds(echo, case)


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
@pytest.mark.parametrize("reason", [b"", "gehört".encode(), LONGEST_REASON])
async def test_the_answer_to_a_close_has_its_code(echo: EchoServer, code: int, reason: bytes) -> None:
    await ends_with(echo, (close(code, reason),), [close(code)])


async def test_a_close_that_comes_octet_by_octet_is_one(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        await wire.open()
        await wire.say(close(4000, b"bye"), chop=1)
        assert without_reasons(await wire.hear_all()) == [close(4000)]


# -- by the server


async def test_the_server_says_why_it_closes_and_waits_for_the_answer(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(HELLO, text("4" + DROP_ME))
        assert await wire.hear() == HELLO
        assert await goodbye(wire) == close(POLICY, TOLD_TO.encode())

        await wire.say(HELLO, ping(b"late"), close(POLICY))

        assert await wire.hear_all() == []
    assert await echo.echo.end_of(sid) == TOLD_TO
    assert [gone for gone, _ in echo.echo.went].count(sid) == 1


async def goodbye(wire: Wire) -> Frame | None:
    """The next frame that is no farewell of Engine.IO."""
    frame = await wire.hear()
    return await wire.hear() if frame == text("1") else frame


async def test_closes_that_cross_are_one_close(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(text("4" + DROP_ME), close(1000))
        assert await goodbye(wire) == close(POLICY, TOLD_TO.encode())
        assert await wire.hear_all() == []
        assert await echo.echo.end_of(sid) == TOLD_TO
    assert [gone for gone, _ in echo.echo.went].count(sid) == 1


async def test_a_client_that_does_not_answer_a_close_loses_the_connection(echo: EchoServer) -> None:
    async with Wire(echo.url) as silent:
        await silent.open()
        await silent.say(text("4" + DROP_ME))
        assert await goodbye(silent) == close(POLICY, TOLD_TO.encode())
        assert await silent.hear() is None


async def test_engine_io_can_close_as_well(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(HELLO, text("1"), HELLO)
        heard = await wire.hear_all()
    assert [frame for frame in heard if frame.opcode != 8] in ([HELLO], [HELLO, text("1")])
    assert await echo.echo.end_of(sid)


# -- without a word


async def test_what_was_said_before_a_half_close_is_answered_and_then_all_is_closed(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(HELLO)
        assert await wire.hear() == HELLO
        wire.say_no_more()
        heard = await wire.hear_all()
        assert heard == [] or [frame.opcode for frame in heard] == [8]
        await echo.echo.end_of(sid)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        HELLO.encode()[:1],
        HELLO.encode()[:4],
        HELLO.encode()[:-1],
        LARGE.encode()[:30_000],
        text("4fragment", fin=False).encode(),
    ],
    ids=[
        "between frames",
        "in the head",
        "in the mask",
        "in the payload",
        "in a large one",
        "between fragments",
    ],
)
async def test_a_connection_that_breaks_anywhere_ends_the_session_once(echo: EchoServer, said: bytes) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(HELLO, said)
        assert await wire.hear() == HELLO
        wire.reset()
        await echo.echo.end_of(sid)
    assert [gone for gone, _ in echo.echo.went].count(sid) == 1


async def test_a_client_that_goes_on_and_on_about_one_frame_does_not_outlive_its_heartbeat() -> None:
    quick = settings_for(timeouts={"ping_interval": 0.2, "ping_timeout": 0.2})
    async with serve_echo(quick) as server, Wire(server.url) as wire:
        sid = (await wire.open())["sid"]
        octets = LARGE.encode()
        for octet in octets:
            if server.echo.went:
                break
            await wire.say(bytes((octet,)))
        assert await server.echo.end_of(sid) == "ping timeout"
        assert server.sockets.eio.sockets == {}
        await eventually(lambda: server.echo.sockets == {})


async def test_after_many_ends_of_all_kinds_nothing_is_left() -> None:
    ends: list[tuple[Frame | bytes, ...]] = [
        (close(1000),),
        (close(1000, b"\xff"),),
        (Frame(3),),
        (HELLO.encode(masked=False),),
        (text(b"4\xff"),),
        (text("1"),),
        (Frame(1, b"").encode(length=b"\x7f" + (1 << 40).to_bytes(8, "big")),),
    ]
    async with serve_echo(settings_for()) as server:
        for said in ends * 5:
            async with Wire(server.url) as wire:
                await wire.open()
                await wire.say(HELLO, *said)
                await wire.hear_all()
        await eventually(lambda: len(server.echo.went) == len(ends) * 5)
        assert server.echo.sockets == {}
        assert server.sockets.eio.sockets == {}
