"""The cases of the public test suite of Engine.IO v4: how a session ends, by rubbish, silence, or a word."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.protocol.echo import DROP_ME, EchoServer, serve_echo, settings_for
from tests.protocol.polling import Polling
from tests.protocol.wire import CLOSE, WAIT, Frame, Wire, binary, text


async def is_over(echo: EchoServer, polling: Polling) -> str:
    """The session has ended, and says so to whoever still asks for it; the reason."""
    reason = await echo.echo.end_of(polling.sid)
    for reply in (await polling.poll(), await polling.post("4hello")):
        assert reply.status == 400
    return reason


# -- rubbish


@pytest.mark.parametrize(
    "payload",
    [
        b"abc",
        b"",
        b"7",
        b"9hello",
        b"\xff\xfe",
        b"4hello\x1e",
        b"\x1e4hello",
        b"4hello\x1e\x1e4hello",
        b"4hello\x1eabc",
        b"b!",
        b"bAQIDBA",
        b"0",
        b"5",
        b"2probe\x1e5",
    ],
)
async def test_a_payload_that_is_none_closes_the_session(
    echo: EchoServer, polling: Polling, payload: bytes
) -> None:
    assert (await polling.http.ask("POST", polling.path, data=payload)).status == 400
    await is_over(echo, polling)


@pytest.mark.parametrize("data", ["abc", "", "0", "7", "9hello", "5", "b", "bAQIDBA==", "\x1e4hello"])
async def test_text_that_is_no_packet_closes_a_websocket(echo: EchoServer, data: str) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(text("4before"), text(data), text("4behind"))
        heard = await wire.hear_all()
        await echo.echo.end_of(sid)
    assert heard[0] == text("4before")
    assert heard[-1].opcode == CLOSE
    assert [frame for frame in heard[1:-1] if frame != text("1")] == []


async def test_two_polls_at_once_close_the_session(echo: EchoServer, polling: Polling) -> None:
    first = asyncio.create_task(polling.poll())
    await echo.has(1, f"GET {polling.sid}")

    second = await polling.poll()

    assert second.status == 400
    assert ((await first).status, (await first).body) == (200, "1")
    await is_over(echo, polling)


async def test_two_posts_at_once_close_the_session(echo: EchoServer, polling: Polling) -> None:
    head = f"POST {polling.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n"
    first, second = b"4h", b"ello"
    address = urlsplit(echo.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode() + first)
    await echo.has(1, f"POST {polling.sid}")

    assert (await polling.post("4hello")).status == 400

    await is_over(echo, polling)
    writer.write(second)
    assert (await asyncio.wait_for(reader.readline(), WAIT)).startswith(b"HTTP/1.1 ")
    writer.close()


async def test_a_poll_that_is_given_up_closes_the_session(echo: EchoServer, polling: Polling) -> None:
    waiting = asyncio.create_task(polling.poll())
    await echo.has(1, f"GET {polling.sid}")
    waiting.cancel()
    await is_over(echo, polling)


# -- heartbeat


@pytest.fixture
async def pinging() -> AsyncIterator[EchoServer]:
    """Asks often and waits long."""
    async with serve_echo(settings_for(timeouts={"ping_interval": 0.05, "ping_timeout": 5})) as server:
        yield server


@pytest.fixture
async def impatient() -> AsyncIterator[EchoServer]:
    """Asks often and waits for nobody."""
    async with serve_echo(settings_for(timeouts={"ping_interval": 0.1, "ping_timeout": 0.1})) as server:
        yield server


async def test_pings_and_pongs_by_polling(pinging: EchoServer) -> None:
    async with Polling(pinging.url) as polling:
        assert polling.greeting["pingInterval"] == 50
        for _ in range(3):
            assert ((reply := await polling.poll()).status, reply.body) == (200, "2")
            assert (await polling.post("3")).status == 200


async def test_pings_and_pongs_by_websocket(pinging: EchoServer) -> None:
    async with Wire(pinging.url) as wire:
        await wire.open()
        for _ in range(3):
            assert await wire.hear() == text("2")
            await wire.say(text("3"))


async def test_pings_go_on_after_an_upgrade(pinging: EchoServer) -> None:
    async with Polling(pinging.url) as polling, polling.upgraded() as wire:
        for _ in range(3):
            assert await wire.hear() == text("2")
            await wire.say(text("3"))
        await wire.say(text("4hello"))
        while (frame := await wire.hear()) == text("2"):
            pass
        assert frame == text("4hello")


async def test_a_client_that_does_not_poll_is_given_up(impatient: EchoServer) -> None:
    async with Polling(impatient.url) as polling:
        assert await is_over(impatient, polling) == "ping timeout"
    assert impatient.sockets.eio.sockets == {}


async def test_a_client_that_polls_but_gives_no_pong_is_given_up() -> None:
    settings = settings_for(timeouts={"ping_interval": 0.1, "ping_timeout": 0.7})
    async with serve_echo(settings) as echo, Polling(echo.url) as polling:
        assert (await polling.poll()).body == "2"
        assert (await polling.poll()).status in {200, 400}
        assert await is_over(echo, polling) == "ping timeout"


async def test_a_websocket_that_gives_no_pong_is_given_up(impatient: EchoServer) -> None:
    async with Wire(impatient.url) as wire:
        sid = (await wire.open())["sid"]
        assert await wire.hear() == text("2")
        assert [frame for frame in await wire.hear_all() if frame.opcode != CLOSE] in ([], [text("1")])
        assert await impatient.echo.end_of(sid) == "ping timeout"


@pytest.mark.parametrize("said", [text("4hello"), text("2"), Frame(10), Frame(9), binary(b"3")], ids=repr)
async def test_only_a_pong_of_engine_io_counts(impatient: EchoServer, said: Frame) -> None:
    async with Wire(impatient.url) as wire:
        sid = (await wire.open())["sid"]
        while not impatient.echo.went:
            await wire.say(said)
            await asyncio.sleep(0.02)
        assert await impatient.echo.end_of(sid) == "ping timeout"


# -- close


async def test_a_client_closes_by_polling(echo: EchoServer, polling: Polling) -> None:
    waiting = asyncio.create_task(polling.poll())
    await echo.has(1, f"GET {polling.sid}")

    assert (await polling.post("1")).status == 200

    assert ((await waiting).status, (await waiting).body) == (200, "6")
    assert await is_over(echo, polling) == "client disconnect"


async def test_a_client_closes_by_websocket(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await wire.say(text("1"))
        assert [frame for frame in await wire.hear_all() if frame.opcode != CLOSE] == []
        assert await echo.echo.end_of(sid) == "client disconnect"


async def test_the_server_closes_by_polling_without_a_last_word_so_that_clients_come_back(
    echo: EchoServer, polling: Polling
) -> None:
    waiting = asyncio.create_task(polling.poll())
    await echo.has(1, f"GET {polling.sid}")

    assert (await polling.post("4" + DROP_ME)).status == 200

    assert (await waiting).status == 400
    await is_over(echo, polling)


async def test_what_was_said_before_the_server_closed_is_polled_first(
    echo: EchoServer, polling: Polling
) -> None:
    await polling.post("4one", "4two", "4" + DROP_ME)
    assert await polling.packets(2) == ["4one", "4two"]
    await is_over(echo, polling)
