"""How an Engine.IO session carries packets: by WebSocket, by long polling, or by the one after the other.

Packets are texts without their framing. A link that ends, for whatever reason, raises `Unanswered` or what
aiohttp raises.
"""

import asyncio
from collections import deque
from typing import Literal, Protocol

import aiohttp
import orjson

from loadtests.answers import Unanswered

Transport = Literal["websocket", "polling", "upgrade"]

SEPARATOR = "\x1e"
OPEN, PROBE, PROBED, UPGRADE = "0", "2probe", "3probe", "5"


class Link(Protocol):
    """One Engine.IO session, greeted."""

    async def next(self) -> str: ...

    async def say(self, packet: str) -> None: ...

    def abort(self) -> None:
        """Cut the connection without a goodbye."""
        ...

    async def close(self) -> None:
        """Leave properly."""
        ...


class WebSocketLink:
    """A session on a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def next(self) -> str:
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Unanswered
        return message.data

    async def say(self, packet: str) -> None:
        await self._socket.send_str(packet)

    def abort(self) -> None:
        connection = self._socket._conn
        if connection is not None and connection.transport is not None:
            connection.transport.abort()

    async def close(self) -> None:
        await self._socket.close()


class PollingLink:
    """A session by long polling: one GET at a time, one POST at a time."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._address = http, f"{url}/socket.io/?EIO=4&transport=polling"
        self._heard: deque[str] = deque()
        self._poll: asyncio.Task[str] | None = None
        self._turn = asyncio.Lock()
        self._over = False

    async def open(self) -> str:
        """Begin a session; its id."""
        greeting = await self._get()
        if not greeting.startswith(OPEN):
            raise Unanswered
        sid: str = orjson.loads(greeting[1:])["sid"]
        self._address += f"&sid={sid}"
        return sid

    async def next(self) -> str:
        while not self._heard:
            self._heard.extend((await self._polled()).split(SEPARATOR))
        return self._heard.popleft()

    async def _polled(self) -> str:
        """The next GET, which `abort` may cut short."""
        if self._over:
            raise Unanswered
        self._poll = asyncio.get_running_loop().create_task(self._get())
        try:
            return await self._poll
        except asyncio.CancelledError:
            self._poll.cancel()
            if self._over:
                raise Unanswered from None
            raise

    async def _get(self) -> str:
        async with self._http.get(self._address) as answer:
            if answer.status != 200:
                raise Unanswered
            return await answer.text()

    async def say(self, packet: str) -> None:
        async with self._turn:
            if self._over:
                raise Unanswered
            async with self._http.post(self._address, data=packet.encode(), headers=_TEXT) as answer:
                if answer.status != 200:
                    raise Unanswered

    def abort(self) -> None:
        self._over = True
        if self._poll is not None:
            self._poll.cancel()

    async def close(self) -> None:
        await self.say("1")
        self.abort()


_TEXT = {"Content-Type": "text/plain;charset=UTF-8"}


async def open_link(http: aiohttp.ClientSession, url: str, transport: Transport) -> Link:
    """A session that has been greeted."""
    if transport == "websocket":
        return await _greeted(WebSocketLink(await _websocket(http, url, "")))
    polling = PollingLink(http, url)
    sid = await polling.open()
    if transport == "polling":
        return polling
    upgraded = WebSocketLink(await _websocket(http, url, f"&sid={sid}"))
    try:
        await upgraded.say(PROBE)
        if await upgraded.next() != PROBED:
            raise Unanswered
        await upgraded.say(UPGRADE)
    except BaseException:
        upgraded.abort()
        raise
    return upgraded


async def _greeted(link: WebSocketLink) -> Link:
    try:
        if not (await link.next()).startswith(OPEN):
            raise Unanswered
    except BaseException:
        link.abort()
        raise
    return link


async def _websocket(http: aiohttp.ClientSession, url: str, more: str) -> aiohttp.ClientWebSocketResponse:
    return await http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket{more}", max_msg_size=0)
