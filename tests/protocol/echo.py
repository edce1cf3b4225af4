"""An echo application on the transport: a real `Receiver`, served by the real runner on a real port."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from engineio import packet as engine_packets

from common.settings import Settings
from realtime.fanout import Packet
from realtime.gateway.doorman import Handshake
from realtime.gateway.http import Runner
from realtime.gateway.transport import EngineSocket, Receiver, SocketServer
from tests.clients import eventually

SECRET = "a secret that only tests know, long enough"
DROP_ME = "drop me"
"""The message upon which the echo drops its socket; the reason is `TOLD_TO`."""
TOLD_TO = "told to"


def settings_for(**changes: Any) -> Settings:
    """Settings without engines: the transport needs none."""
    return Settings(**{"_env_file": None, "environment": "test", "jwt_secret": SECRET, **changes})


def at_once(sending: Coroutine[Any, Any, object]) -> None:
    """Run what must not wait."""
    try:
        sending.send(None)
    except StopIteration:
        return
    raise AssertionError("sending waited")


class Echo(Receiver):
    """Sends every message back, and remembers who came and why they went."""

    def __init__(self) -> None:
        self.sockets: dict[str, EngineSocket] = {}
        self.went: list[tuple[str, str]] = []
        self._gone: dict[str, asyncio.Future[str]] = {}

    def opened(self, socket: EngineSocket) -> None:
        self.sockets[socket.sid] = socket

    def received(self, socket: EngineSocket, data: str | bytes) -> None:
        assert type(data) in (str, bytes), "a receiver gets text or octets, nothing that was read already"
        if data == DROP_ME:
            socket.drop(TOLD_TO)
        elif isinstance(data, str):
            socket.write(Packet(data))
        else:
            at_once(socket.send(engine_packets.Packet(engine_packets.MESSAGE, data)))

    def closed(self, socket: EngineSocket, reason: str) -> None:
        del self.sockets[socket.sid]
        self.went.append((socket.sid, reason))
        waiting = self._gone.pop(socket.sid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reason)

    async def end_of(self, sid: str, seconds: float = 10.0) -> str:
        """Wait until a session is over; the reason."""
        for gone, reason in self.went:
            if gone == sid:
                return reason
        self._gone[sid] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._gone[sid], seconds)


@dataclass
class EchoServer:
    """A server that listens, and the application inside it."""

    url: str
    echo: Echo
    sockets: SocketServer
    requests: list[str]
    """Method and session of every request that has arrived."""

    async def has(self, count: int, request: str) -> None:
        """Wait until so many such requests have arrived."""
        await eventually(lambda: self.requests.count(request) >= count)


@asynccontextmanager
async def serve(sockets: SocketServer, requests: list[str], *, doorman: bool = True) -> AsyncIterator[str]:
    """Serve `/socket.io/` at a free port as a node does; the address.

    Without the doorman every upgrade is a request of aiohttp's, as it is for those of an unusual form.
    """

    def welcome(connection: asyncio.Transport, handshake: Handshake) -> bool:
        sockets.open("127.0.0.1", connection, handshake)
        return True

    async def handle(request: web.Request) -> web.StreamResponse:
        requests.append(f"{request.method} {request.query.get('sid', '')}")
        return await sockets.handle(request, request.remote or "")

    app = web.Application()
    app.router.add_route("*", "/socket.io/", handle)
    welcomes = welcome if doorman else None
    runner = Runner(app, welcomes, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        sockets.stop()
        await runner.cleanup()


@asynccontextmanager
async def serve_echo(settings: Settings, *, doorman: bool = True) -> AsyncIterator[EchoServer]:
    """Serve the echo."""
    echo = Echo()
    sockets = SocketServer(settings, echo)
    requests: list[str] = []
    async with serve(sockets, requests, doorman=doorman) as url:
        yield EchoServer(url, echo, sockets, requests)
