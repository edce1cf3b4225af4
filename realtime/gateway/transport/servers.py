# The libraries below carry no types, and this is the module that knows their private parts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUnknownParameterType=false
"""Engine.IO v4 and Socket.IO v5 over HTTP: sessions that poll, and connections that leave for a WebSocket."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, cast

import engineio
import socketio
from aiohttp import WSCloseCode, web
from engineio import exceptions
from engineio import packet as engine_packets

from common import metrics
from common.settings import Settings
from realtime.gateway.doorman import Handshake
from realtime.gateway.handshake import handshake_refusal, is_upgrade, refusal, switching
from realtime.gateway.http import ON_LOST
from realtime.gateway.transport.packets import opening_frame
from realtime.gateway.transport.sockets import EngineSocket, Probe, Receiver
from realtime.gateway.websocket import WebSocket
from realtime.wheel import Wheel

FAREWELL_SECONDS = 5.0
ID_BYTES = 15
BEATS = 32
"""Ticks of the heartbeat wheel in one ping timeout."""

ADDRESS = web.RequestKey("plaza.address", str)


class _Taken(web.Response):
    """What aiohttp gets to answer once the connection is no longer its own."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """There is nobody to answer."""

    async def write_eof(self, data: bytes = b"") -> None:
        """There is nobody to answer."""


def _take(request: web.Request) -> tuple[asyncio.Transport, bytes] | None:
    """Take a connection out of aiohttp's hands, with the bytes it has read behind the request."""
    handler = request.protocol
    connection = handler.transport
    if connection is None or connection.is_closing():
        return None
    unread, handler._message_tail = bytes(handler._message_tail), b""
    handler.transport = None  # else it would be closed together with the handler
    handler.connection_lost(None)
    connection.resume_reading()
    return connection, unread


def _environ_with_address(
    translate: Callable[[web.Request], dict[str, Any]],
) -> Callable[[web.Request], dict[str, Any]]:
    def translated(request: web.Request) -> dict[str, Any]:
        return {**translate(request), "plaza.address": request[ADDRESS]}

    return translated


class EngineServer(engineio.AsyncServer):
    """Engine.IO v4 with our sockets."""

    settings: Settings
    receiver: Receiver

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, monitor_clients=False, **options)
        driver = cast("dict[str, Any]", self._async)
        self._environ = _environ_with_address(driver["translate_request"])
        self._async = {**driver, "translate_request": self._environ}
        self._farewells: dict[str, EngineSocket] = {}
        self.beats: Wheel[EngineSocket] = Wheel(self.ping_timeout / BEATS, EngineSocket.beat)

    def generate_id(self) -> str:
        """A session id that nobody can guess, behind the name of this process if it has one."""
        name = self.settings.node_name
        return f"{name}.{secrets.token_urlsafe(ID_BYTES)}" if name else secrets.token_urlsafe(ID_BYTES)

    def keep_farewell(self, socket: EngineSocket) -> None:
        """Keep for a moment what a client has not fetched at the end: it may be between two polls."""
        self._farewells[socket.sid] = socket
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._farewells.pop, socket.sid, None)

    async def farewell(self, request: web.Request) -> web.Response | None:
        """The answer to a poll that comes after the end, if anything was left to say."""
        if request.method != "GET" or "Upgrade" in request.headers:
            return None
        socket = self._farewells.pop(request.query.get("sid", ""), None)
        try:
            packets = await socket.poll() if socket is not None else []
        except exceptions.QueueEmpty:
            packets = []
        if not packets:
            return None
        return await self._make_response(self._ok(packets), self._environ(request))

    async def _handle_connect(
        self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None
    ) -> Any:
        """The Engine.IO handshake of a client that polls."""
        socket = self._new_socket(environ["plaza.address"])
        socket.start_polling()
        socket.queue.put_nowait(engine_packets.Packet(engine_packets.OPEN, self._greeting(socket, transport)))
        self._announce(socket)
        return self._ok(await socket.poll(), jsonp_index=jsonp_index)

    def _new_socket(self, address: str) -> EngineSocket:
        sid = self.generate_id()
        socket = self.sockets[sid] = EngineSocket(self, sid, address)
        return socket

    def _greeting(self, socket: EngineSocket, transport: str) -> dict[str, Any]:
        return {
            "sid": socket.sid,
            "upgrades": self._upgrades(socket.sid, transport) if transport == "polling" else (),
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.max_http_buffer_size,
        }

    def _announce(self, socket: EngineSocket) -> None:
        metrics.sockets_opened.inc()
        self.receiver.opened(socket)
        socket.schedule_ping()

    # -- WebSockets

    def upgrade(self, request: web.Request) -> web.StreamResponse:
        """Make a WebSocket of a request, for a new socket or for one that polls until now."""
        sid = request.query.get("sid")
        polling = self.sockets.get(sid) if sid is not None else None
        refusal = handshake_refusal(request) or self._upgrade_refusal(request, sid, polling)
        if refusal is not None:
            return refusal
        taken = _take(request)
        if taken is not None:
            key = request.headers["Sec-WebSocket-Key"]
            if polling is not None:
                self._probe(polling, *taken, key)
            else:
                self.open(request[ADDRESS], *taken, key)
        return _Taken()

    def _upgrade_refusal(
        self, request: web.Request, sid: str | None, polling: EngineSocket | None
    ) -> web.Response | None:
        if request.query.get("transport") != "websocket" or "websocket" not in self.transports:
            return refusal("Invalid transport")
        if sid is None:
            return None if request.query.get("EIO") == "4" else refusal("Unsupported protocol version")
        if polling is None or polling.closed:
            return refusal("Invalid session")
        return None if polling.connected and not polling.upgraded else refusal("Unexpected upgrade")

    def open(self, address: str, connection: asyncio.Transport, unread: bytes, key: str) -> None:
        """Make a socket of a connection whose handshake, with that `key`, was in order."""
        socket = self._new_socket(address)
        websocket = WebSocket(socket, connection, self.settings.limits)
        socket.attach(websocket)
        self._announce(socket)
        websocket.start(switching(key) + opening_frame(self._greeting(socket, "websocket")), unread)

    def _probe(self, polling: EngineSocket, connection: asyncio.Transport, unread: bytes, key: str) -> None:
        probe = Probe(polling)
        websocket = WebSocket(probe, connection, self.settings.limits)
        probe.started(websocket)
        websocket.start(switching(key), unread)


def _was_let_in(origin: str) -> bool:
    """Pages of other origins were refused at the door."""
    return True


class SocketServer(socketio.AsyncServer):
    """python-socketio's server, handing packets to a `Receiver` in their order instead of to tasks."""

    eio: EngineServer

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        super().__init__(
            async_mode="aiohttp",
            async_handlers=False,
            ping_interval=settings.timeouts.ping_interval,
            ping_timeout=settings.timeouts.ping_timeout,
            max_http_buffer_size=settings.limits.frame_bytes,
            transports=["polling", "websocket"] if settings.polling else ["websocket"],
            cors_allowed_origins=_was_let_in,
            cors_credentials=False,
            http_compression=True,
        )
        self.eio.settings, self.eio.receiver = settings, receiver

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    async def handle(self, request: web.Request, address: str) -> web.StreamResponse:
        """Serve one HTTP request of either transport for a client at `address`."""
        request[ADDRESS] = address
        if not request.query.get("transport"):
            return refusal("Invalid transport")
        if is_upgrade(request):
            return self.eio.upgrade(request)
        polling = self.eio.sockets.get(request.query.get("sid", ""))
        if polling is not None and request.method == "GET":
            request[ON_LOST] = polling.hung_up  # what was taken for this answer would be lost with it
        farewell = await self.eio.farewell(request)
        return farewell if farewell is not None else await self.eio.handle_request(request)

    def open(self, address: str, connection: asyncio.Transport, handshake: Handshake) -> None:
        """Make a socket of a connection that was let in."""
        self.eio.open(address, connection, handshake.unread, handshake.key)

    def stop(self, code: int = WSCloseCode.SERVICE_RESTART) -> None:
        """Close every socket without waiting for any."""
        for socket in tuple(self.eio.sockets.values()):
            socket.drop("server_draining", code)
