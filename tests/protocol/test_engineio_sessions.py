"""The cases of the public test suite of Engine.IO v4: how a session begins, and what it carries.

`EIO=4` is the protocol of Socket.IO v5. The application behind it sends every message back. How sessions end
is in test_engineio_ends.py, how they become WebSockets in test_engineio_upgrade.py.
"""

import asyncio

import pytest

from tests.clients import Http
from tests.protocol.echo import EchoServer, serve_echo, settings_for
from tests.protocol.polling import Polling
from tests.protocol.wire import Frame, Wire, binary, close, text

GREETING = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
POLLING = "/socket.io/?EIO=4&transport=polling"


# -- handshake


async def test_polling_opens_a_session(polling: Polling) -> None:
    assert set(polling.greeting) == GREETING
    assert isinstance(polling.greeting["sid"], str)
    assert polling.greeting["upgrades"] == ["websocket"]
    assert polling.greeting["pingInterval"] == 20_000
    assert polling.greeting["pingTimeout"] == 15_000
    assert polling.greeting["maxPayload"] == 65_536


async def test_a_websocket_opens_a_session(echo: EchoServer) -> None:
    async with Wire(echo.url) as wire:
        greeting = await wire.open()
    assert set(greeting) == GREETING
    assert isinstance(greeting["sid"], str)
    assert greeting["upgrades"] == []
    assert greeting["pingInterval"] == 20_000
    assert greeting["pingTimeout"] == 15_000
    assert greeting["maxPayload"] == 65_536


@pytest.mark.parametrize(
    "query",
    [
        "transport=polling",
        "EIO=abc&transport=polling",
        "EIO=3&transport=polling",
        "EIO=&transport=polling",
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=",
        "EIO=4&transport=websocket",
        "EIO=4&transport=polling&sid=unknown",
        "EIO=4&transport=websocket&sid=unknown",
    ],
)
async def test_a_query_without_a_version_a_transport_or_a_session_is_refused(http: Http, query: str) -> None:
    assert (await http.get(f"/socket.io/?{query}")).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_only_get_opens_a_session(echo: EchoServer, http: Http, method: str) -> None:
    before = set(echo.echo.sockets)
    assert (await http.ask(method, POLLING)).status in {400, 405}
    assert set(echo.echo.sockets) == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_method_that_means_nothing_leaves_the_session_alone(polling: Polling, method: str) -> None:
    assert (await polling.http.ask(method, polling.path, data=b"4hello")).status in {400, 405}
    await polling.post("4hello")
    assert (await polling.poll()).body == "4hello"


async def test_a_session_that_polls_is_not_asked_for_by_websocket_without_an_upgrade(
    polling: Polling,
) -> None:
    assert (await polling.http.get(f"/socket.io/?{polling.upgrade_query}")).status == 400
    await polling.post("4hello")
    assert (await polling.poll()).body == "4hello"


async def test_a_session_of_a_websocket_is_not_polled(echo: EchoServer, http: Http) -> None:
    async with Wire(echo.url) as wire:
        path = f"{POLLING}&sid={(await wire.open())['sid']}"
        assert (await http.get(path)).status == 400
        assert (await http.ask("POST", path, data=b"4hello")).status == 400
        await wire.say(text("4hello"), close(1000))
        assert await wire.hear_all() == [text("4hello"), close(1000)]


async def test_without_long_polling_only_websockets_open_sessions() -> None:
    async with serve_echo(settings_for(polling=False)) as server:
        async with Http(server.url) as http:
            assert (await http.get(POLLING)).status == 400
        async with Wire(server.url) as wire:
            await wire.open()
            await wire.say(text("4hello"))
            assert await wire.hear() == text("4hello")


# -- messages


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(["4hello"], id="one text packet"),
        pytest.param(["4"], id="an empty one"),
        pytest.param(["4héllo ✓ \U0001f600"], id="beyond ASCII"),
        pytest.param(["4test1", "4test2", "4test3"], id="several text packets"),
        pytest.param(["4hello", "bAQIDBA=="], id="text and binary"),
        pytest.param(["bAQIDBA==", "4hello", "b", "bAA=="], id="binary first, last, and empty"),
        pytest.param(["4[1]", '4{"a":1}', "412", "4null"], id="text that is JSON stays text"),
        pytest.param(["4" + "x" * 65_535], id="the longest"),
        pytest.param([f"4{n}" for n in range(200)], id="very many"),
    ],
)
async def test_a_payload_comes_back_by_polling(polling: Polling, packets: list[str]) -> None:
    reply = await polling.post(*packets)
    assert (reply.status, reply.body.lower()) == (200, "ok")
    assert await polling.packets(len(packets)) == packets


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(text("4hello"), id="text"),
        pytest.param(text("4"), id="empty text"),
        pytest.param(text("4héllo ✓ \U0001f600"), id="beyond ASCII"),
        pytest.param(binary(b"\x01\x02\x03\x04"), id="binary"),
        pytest.param(binary(b""), id="empty binary"),
        pytest.param(binary(b"4hello"), id="binary that looks like text"),
        pytest.param(text('4{"a":1}'), id="text that is JSON stays text"),
    ],
)
async def test_a_packet_comes_back_by_websocket(wire: Wire, frame: Frame) -> None:
    await wire.say(frame)
    assert await wire.hear() == frame


async def test_polls_and_posts_that_take_turns_carry_everything_in_order(polling: Polling) -> None:
    said = [f"4{n}" for n in range(60)]

    async def talk() -> None:
        for at in range(0, len(said), 3):
            assert (await polling.post(*said[at : at + 3])).status == 200

    heard, _ = await asyncio.gather(polling.packets(len(said)), talk())
    assert heard == said
