"""Long polling by hand, and the upgrade from it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from tests.clients import Http, Reply
from tests.protocol.wire import WAIT, Wire, text

SEPARATOR = "\x1e"
PATIENCE = aiohttp.ClientTimeout(total=WAIT)


class Polling:
    """An Engine.IO session by long polling."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = Http(url)
        self.greeting: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        reply = await self.http.get("/socket.io/?EIO=4&transport=polling")
        assert (reply.status, reply.body[0]) == (200, "0")
        self.greeting = json.loads(reply.body[1:])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.__aexit__()

    @property
    def sid(self) -> str:
        return self.greeting["sid"]

    @property
    def path(self) -> str:
        return f"/socket.io/?EIO=4&transport=polling&sid={self.sid}"

    @property
    def upgrade_query(self) -> str:
        return f"EIO=4&transport=websocket&sid={self.sid}"

    async def poll(self) -> Reply:
        return await self.http.get(self.path, timeout=PATIENCE)

    async def post(self, *packets: str) -> Reply:
        return await self.http.ask("POST", self.path, data=SEPARATOR.join(packets), timeout=PATIENCE)

    async def packets(self, count: int) -> list[str]:
        """The next `count` packets, by as many polls as it takes."""
        heard: list[str] = []
        while len(heard) < count:
            reply = await self.poll()
            assert reply.status == 200, reply
            heard += reply.body.split(SEPARATOR)
        return heard

    @asynccontextmanager
    async def probed(self) -> AsyncIterator[Wire]:
        """A WebSocket of this session on which the probe was answered."""
        async with Wire(self.url, self.upgrade_query) as wire:
            await wire.say(text("2probe"))
            assert await wire.hear() == text("3probe")
            yield wire

    @asynccontextmanager
    async def upgraded(self) -> AsyncIterator[Wire]:
        """The WebSocket on which this session goes on."""
        async with self.probed() as wire:
            await wire.say(text("5"))
            yield wire


@asynccontextmanager
async def upgraded(url: str) -> AsyncIterator[Wire]:
    """A WebSocket that began as long polling."""
    async with Polling(url) as polling, polling.upgraded() as wire:
        yield wire
