"""A stock python-socketio server carried by our transport: it does namespaces and binary, we carry."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import socketio

from realtime.gateway.transport import EngineSocket, Receiver, SocketServer
from tests.protocol.echo import serve, settings_for


@dataclass
class Closed:
    """The last thing that is heard of a socket."""

    reason: str


class Bridge(Receiver):
    """Hands what happens to a stock server, in order. What that cannot read ends the connection."""

    def __init__(self, stock: socketio.AsyncServer) -> None:
        self._stock = stock
        self._inboxes: dict[str, asyncio.Queue[str | bytes | Closed]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, socket: EngineSocket) -> None:
        self._inboxes[socket.sid] = asyncio.Queue()
        task = asyncio.get_running_loop().create_task(self._serve(socket, self._inboxes[socket.sid]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def received(self, socket: EngineSocket, data: str | bytes) -> None:
        self._inboxes[socket.sid].put_nowait(data)

    def closed(self, socket: EngineSocket, reason: str) -> None:
        self._inboxes.pop(socket.sid).put_nowait(Closed(reason))

    async def _serve(self, socket: EngineSocket, inbox: asyncio.Queue[str | bytes | Closed]) -> None:
        await self._stock._handle_eio_connect(socket.sid, {})
        while not isinstance(heard := await inbox.get(), Closed):
            try:
                await self._stock._handle_eio_message(socket.sid, heard)
            except (ValueError, LookupError, TypeError):
                socket.drop("parse error")
        await self._stock._handle_eio_disconnect(socket.sid, heard.reason)


def echo_application() -> tuple[socketio.AsyncServer, list[tuple[str, str]]]:
    """What the public test suite expects of a server, and the namespaces and reasons of those who left.

    With `always_connect` the answer to a connect goes before what the handler says, as the suite wants it.
    """
    stock = socketio.AsyncServer(async_mode="aiohttp", namespaces=["/", "/custom"], always_connect=True)
    gone: list[tuple[str, str]] = []

    def add(namespace: str) -> None:
        async def greet(sid: str, _environ: dict[str, Any], auth: Any) -> None:
            await stock.emit("auth", auth or {}, to=sid, namespace=namespace)

        async def message(sid: str, *said: Any) -> None:
            await stock.emit("message-back", said, to=sid, namespace=namespace)

        async def message_with_ack(_sid: str, *said: Any) -> tuple[Any, ...]:
            return said

        async def leave(sid: str) -> None:
            await stock.disconnect(sid, namespace=namespace)

        async def left(_sid: str, reason: str) -> None:
            gone.append((namespace, reason))

        stock.on("connect", greet, namespace)
        stock.on("message", message, namespace)
        stock.on("message-with-ack", message_with_ack, namespace)
        stock.on("leave", leave, namespace)
        stock.on("disconnect", left, namespace)

    add("/")
    add("/custom")
    return stock, gone


@dataclass
class StockServer:
    """Where it listens, and who has left."""

    url: str
    gone: list[tuple[str, str]]


@asynccontextmanager
async def serve_stock() -> AsyncIterator[StockServer]:
    stock, gone = echo_application()
    carrier = SocketServer(settings_for(), Bridge(stock))
    stock.eio = carrier.eio
    async with serve(carrier, []) as url:
        yield StockServer(url, gone)
