"""The cases of the public test suite of Engine.IO v4: how long polling becomes a WebSocket, or does not."""

import asyncio

import pytest

from tests.protocol.echo import EchoServer
from tests.protocol.polling import Polling
from tests.protocol.wire import CLOSE, Frame, Wire, binary, close, text


async def test_polling_becomes_a_websocket(echo: EchoServer, polling: Polling) -> None:
    async with polling.probed() as wire:
        assert ((reply := await polling.poll()).status, reply.body) == (200, "6")
        await wire.say(text("5"), text("4hello"))
        assert await wire.hear() == text("4hello")
        await wire.say(close(1000))
        assert await wire.hear_all() == [close(1000)]
        assert await echo.echo.end_of(polling.sid) == "transport close"


async def test_a_poll_that_waits_is_ended_by_the_probe(echo: EchoServer, polling: Polling) -> None:
    waiting = asyncio.create_task(polling.poll())
    await echo.has(1, f"GET {polling.sid}")
    async with polling.upgraded():
        assert ((await waiting).status, (await waiting).body) == (200, "6")


async def test_http_is_refused_for_a_session_that_was_upgraded(polling: Polling) -> None:
    async with polling.upgraded() as wire:
        await wire.say(text("4first"))
        assert await wire.hear() == text("4first")
        assert (await polling.poll()).status == 400
        assert (await polling.post("4hello")).status == 400
        await wire.say(text("4hello"))
        assert await wire.hear() == text("4hello")


async def test_a_second_websocket_is_refused_for_a_session_that_was_upgraded(
    echo: EchoServer, polling: Polling
) -> None:
    async with polling.upgraded() as wire:
        await wire.say(text("4first"))
        assert await wire.hear() == text("4first")
        with pytest.raises(AssertionError, match=r"HTTP/1\.1 400"):
            await Wire(echo.url, polling.upgrade_query).__aenter__()
        await wire.say(text("4hello"))
        assert await wire.hear() == text("4hello")


async def test_of_two_websockets_that_probe_the_first_to_upgrade_gets_the_session(polling: Polling) -> None:
    async with polling.probed() as one, polling.probed() as two:
        await two.say(text("5"), text("4hello"))
        assert await two.hear() == text("4hello")
        await one.say(text("5"), text("4stolen"))
        assert [frame.opcode for frame in await one.hear_all()] in ([], [CLOSE])
        await two.say(text("4still mine"))
        assert await two.hear() == text("4still mine")


async def test_what_waits_for_a_poll_goes_first_by_websocket(polling: Polling) -> None:
    await polling.post("4one", "bAQI=", "4two")
    async with polling.upgraded() as wire:
        await wire.say(text("4three"))
        heard = [await wire.hear() for _ in range(4)]
    assert heard == [text("4one"), binary(b"\x01\x02"), text("4two"), text("4three")]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param((text("2wrong"),), id="a ping that is no probe"),
        pytest.param((text("5"),), id="no probe"),
        pytest.param((text("4hello"),), id="a message"),
        pytest.param((binary(b"2probe"),), id="binary"),
        pytest.param((text("2probe"), text("4hello")), id="a message instead of the upgrade"),
        pytest.param((text("2probe"), text("2probe")), id="two probes"),
        pytest.param((text("2probe"), close(1000)), id="closed after the probe"),
        pytest.param((text("2probe"), Frame(3)), id="a protocol error after the probe"),
        pytest.param((close(1000),), id="closed at once"),
    ],
)
async def test_an_upgrade_that_fails_leaves_polling_as_it_was(
    echo: EchoServer, polling: Polling, said: tuple[Frame, ...]
) -> None:
    async with Wire(echo.url, polling.upgrade_query) as wire:
        await wire.say(*said)
        heard = await wire.hear_all()
        assert [frame for frame in heard if frame.opcode != CLOSE] in ([], [text("3probe")])
    await still_polls(polling)


async def test_a_probe_that_breaks_leaves_polling_as_it_was(polling: Polling) -> None:
    async with polling.probed() as wire:
        wire.reset()
    await still_polls(polling)


async def still_polls(polling: Polling) -> None:
    assert (await polling.post("4hello")).status == 200
    heard = await polling.packets(1)
    while heard[-1] == "6":
        heard += await polling.packets(1)
    assert heard[-1] == "4hello"


async def test_a_session_that_ends_while_it_is_probed_does_not_come_back(
    echo: EchoServer, polling: Polling
) -> None:
    async with polling.probed() as wire:
        await polling.post("1")
        await echo.echo.end_of(polling.sid)
        await wire.say(text("5"), text("4hello"))
        assert [frame.opcode for frame in await wire.hear_all()] in ([], [CLOSE])
