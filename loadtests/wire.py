"""A raw Socket.IO connection over aiohttp: cheap enough for many in one process.

Engine.IO v4 and Socket.IO protocol v5, default namespace, JSON only.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any, Self

import aiohttp
import orjson

from loadtests.answers import Refused, Unanswered
from loadtests.links import Link, Transport, open_link

Json = dict[str, Any]
Listener = Callable[[str, Json], None]

CONNECT_SECONDS = 5.0
_ids = itertools.count(1)


class Wire:
    """One authenticated socket."""

    def __init__(self, link: Link, url: str, listener: Listener) -> None:
        self._link, self._listener = link, listener
        self.url, self.id = url, f"socket {next(_ids)}"
        self.closed = asyncio.Event()
        self._acks: dict[int, asyncio.Future[Json]] = {}
        self._ack_ids = itertools.count(1)
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        listener: Listener,
        transport: Transport = "websocket",
    ) -> Self:
        """Connect and authenticate; raises `Refused`, `Unanswered` or what aiohttp raises."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                wire = cls(await open_link(http, url, transport), url, listener)
                try:
                    await wire._greet(token)
                except BaseException:
                    wire.abort()
                    raise
        except TimeoutError as error:
            raise Unanswered from error
        wire._reader = asyncio.get_running_loop().create_task(wire._read())
        return wire

    async def _greet(self, token: str) -> None:
        await self._say("40", {"token": token})
        answer = await self._link.next()
        while not answer.startswith(("40", "44")):
            self._take(answer)
            answer = await self._link.next()
        if answer.startswith("44"):
            raise Refused(orjson.loads(answer[2:])["data"])

    async def _say(self, head: str, payload: Any) -> None:
        await self._link.say(head + orjson.dumps(payload).decode())

    async def _read(self) -> None:
        try:
            while True:
                text = await self._link.next()
                if text == "2":
                    await self._link.say("3")
                elif text in {"1", "41"}:
                    return
                else:
                    self._take(text)
        except (Unanswered, OSError, aiohttp.ClientError):
            pass
        finally:
            self.abort()

    def _take(self, text: str) -> None:
        if text.startswith("42"):
            event, *rest = orjson.loads(text[2:])
            self._listener(event, rest[0] if rest else {})
        elif text.startswith("43"):
            split = text.index("[")
            ack = self._acks.pop(int(text[2:split]), None)
            if ack is not None and not ack.done():
                ack.set_result(orjson.loads(text[split:])[0])

    async def call(self, event: str, payload: Json, seconds: float) -> Json:
        """Send a command, at once and without waiting, then wait for its ack's data."""
        if self.closed.is_set():
            raise Unanswered
        number = next(self._ack_ids)
        ack = self._acks[number] = asyncio.get_running_loop().create_future()
        try:
            await self._say(f"42{number}", [event, payload])
            async with asyncio.timeout(seconds):
                answer = await ack
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise Unanswered from error
        finally:
            self._acks.pop(number, None)
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["data"]

    def abort(self) -> None:
        """Cut the connection without a goodbye."""
        if self.closed.is_set():
            return
        self.closed.set()
        for ack in self._acks.values():
            if not ack.done():
                ack.set_exception(Unanswered())
                ack.exception()
        self._link.abort()

    async def close(self) -> None:
        """Leave properly."""
        if not self.closed.is_set():
            with contextlib.suppress(Unanswered, OSError, aiohttp.ClientError):
                await self._link.close()
        self.abort()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=2.0)
