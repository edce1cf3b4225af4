"""One way to talk to a server whatever carries it: packets of Engine.IO in, packets of Engine.IO out."""

import base64
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from tests.protocol.polling import SEPARATOR, Polling
from tests.protocol.wire import BINARY, CLOSE, TEXT, Wire, binary, text

PING, PONG, NOOP, CLOSED = "2", "3", "6", "1"
Packet = str | bytes


class Talker(Protocol):
    """A client that is connected."""

    async def say(self, *packets: Packet) -> None: ...

    async def hear(self) -> Packet:
        """The next packet; pings are answered on the way. `CLOSED` when the session is over."""
        ...


class WebSocketTalker:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def say(self, *packets: Packet) -> None:
        for packet in packets:
            await self._wire.say(text(packet) if isinstance(packet, str) else binary(packet))

    async def hear(self) -> Packet:
        while (frame := await self._wire.hear()) is not None and frame.opcode != CLOSE:
            assert frame.opcode in {TEXT, BINARY}
            if frame.opcode == BINARY:
                return frame.payload
            packet = frame.payload.decode()
            if packet == PING:
                await self.say(PONG)
            elif packet != NOOP:
                return packet
        return CLOSED


class PollingTalker:
    def __init__(self, polling: Polling) -> None:
        self._polling = polling
        self._heard: deque[str] = deque()

    async def say(self, *packets: Packet) -> None:
        await self._polling.post(
            *(one if isinstance(one, str) else "b" + base64.b64encode(one).decode() for one in packets)
        )

    async def hear(self) -> Packet:
        while True:
            while not self._heard:
                reply = await self._polling.poll()
                if reply.status != 200:
                    assert reply.status == 400
                    return CLOSED
                self._heard.extend(reply.body.split(SEPARATOR))
            packet = self._heard.popleft()
            if packet == PING:
                await self.say(PONG)
            elif packet.startswith("b"):
                return base64.b64decode(packet[1:])
            elif packet != NOOP:
                return packet


Transport = Callable[[str], AbstractAsyncContextManager[Talker]]


@asynccontextmanager
async def by_websocket(url: str) -> AsyncIterator[Talker]:
    async with Wire(url) as wire:
        await wire.open()
        yield WebSocketTalker(wire)


@asynccontextmanager
async def by_polling(url: str) -> AsyncIterator[Talker]:
    async with Polling(url) as polling:
        yield PollingTalker(polling)


@asynccontextmanager
async def by_upgrade(url: str) -> AsyncIterator[Talker]:
    """A WebSocket that began as long polling."""
    async with Polling(url) as polling, polling.upgraded() as wire:
        yield WebSocketTalker(wire)


on_every_transport = pytest.mark.parametrize(
    "transport",
    [
        pytest.param(by_websocket, id="websocket"),
        pytest.param(by_polling, id="polling"),
        pytest.param(by_upgrade, id="upgraded"),
    ],
)
