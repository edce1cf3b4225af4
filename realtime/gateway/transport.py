# The libraries below carry no types, and this is the module that knows their private parts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUnknownParameterType=false
"""The transport: Engine.IO v4 and Socket.IO v5, on python-engineio, python-socketio and aiohttp.

This is the only module that touches the private parts of the first two (versions are pinned, and
tests/protocol/test_library_contract.py fails when they change). Long polling goes the libraries' way, with
bounds they lack. A WebSocket leaves them at its upgrade: it is one `WebSocket` protocol on the connection,
and costs neither a task nor a queue from then on. Heartbeats share one wheel; closing never waits.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

import engineio
import socketio
from aiohttp import WSCloseCode, web
from engineio import async_socket, exceptions
from engineio import packet as engine_packets
from socketio import packet as socket_packets

from common import metrics
from common.settings import Settings
from realtime.fanout.packets import Packet, binary_frame_of, frame_of
from realtime.gateway.doorman import Handshake
from realtime.gateway.http import ON_LOST
from realtime.gateway.websocket import WebSocket
from realtime.gateway.wheel import Wheel

PROBE_SECONDS = 10.0
PROBED_POLL_SECONDS = 0.1
POST_SECONDS = 15.0
FAREWELL_SECONDS = 5.0
EPHEMERAL_SHARE = 8
"""An ephemeral packet is dropped when more than 1/8 of the packets that may wait for a poll do so already."""
BEATS = 32
"""Ticks of the heartbeat wheel in one ping timeout."""

ADDRESS = web.RequestKey("plaza.address", str)

_PING = frame_of(b"2")
_WEBSOCKET_ID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
_POSTED = frozenset("1234b")
_SEPARATOR = "\x1e"
_MOST_POSTED = 500
_REASON = engineio.AsyncServer.reason
_SILENTLY = frozenset({_REASON.PING_TIMEOUT, _REASON.TRANSPORT_CLOSE, "slow_consumer"})
"""Why a connection is cut: nobody would hear a goodbye."""


class Receiver(Protocol):
    """What happens with sockets; none of it may wait."""

    def opened(self, socket: "EngineSocket") -> None: ...

    def received(self, socket: "EngineSocket", data: str | bytes) -> None: ...

    def closed(self, socket: "EngineSocket", reason: str) -> None: ...


class EngineSocket(async_socket.AsyncSocket):
    """One Engine.IO connection, by WebSocket or by long polling."""

    # What the library's own sockets are made with; sockets that never poll need no queue.
    queue: Any = None
    upgrading = upgraded = closing = closed = connected = False
    last_ping = session = None

    server: "EngineServer"
    peer: Any = None
    descriptor = -1
    _websocket: WebSocket | None = None
    _probed = _waits_for_pong = _is_polled = _is_posted = _is_broken = False

    def __init__(self, server: "EngineServer", sid: str, address: str) -> None:
        self.server, self.sid, self.address = server, sid, address

    # -- sending

    @property
    def transport(self) -> str:
        return "polling" if self._websocket is None else "websocket"

    def write(self, packet: Packet, *, ephemeral: bool = False) -> None:
        """Send a packet, or drop it (ephemeral) or the reader (everything else) when too much waits."""
        if self.closed:
            return
        if self._websocket is not None:
            if not self._websocket.write(packet.frame, ephemeral=ephemeral):
                metrics.dropped.inc()
            return
        most = self.server.settings.limits.outgoing_packets // (EPHEMERAL_SHARE if ephemeral else 1)
        if self.queue.qsize() < most:
            self.queue.put_nowait(engine_packets.Packet(engine_packets.MESSAGE, packet.text))
        elif ephemeral:
            metrics.dropped.inc()
        else:
            self.fell_behind()

    def finish(self, frame: bytes, written: int) -> None:
        """Send the rest of a frame of which the descriptor took so many bytes; below 0, it broke."""
        if self._websocket is None or self.closed:
            return
        if written < 0:
            self._websocket.abort()
        else:
            self._websocket.finish(frame, written)

    def fell_behind(self) -> None:
        """Cut off a reader for whom too much waits."""
        metrics.slow_consumers.inc()
        self.drop("slow_consumer")

    async def send(self, pkt: engine_packets.Packet) -> None:
        """What the libraries send: handshakes, and whatever an application built on them says."""
        if self.closed:
            return
        if self._websocket is None:
            self.queue.put_nowait(pkt)
        else:
            self._websocket.write(_frame_of(pkt))

    # -- heartbeat

    def schedule_ping(self) -> None:
        """Ping after the interval; a pong sets the next one."""
        self._waits_for_pong = False
        self.server.beats.set(self, self.server.ping_interval)

    def beat(self) -> None:
        """Ask whether the client is there; if that was asked before, it is not."""
        if self._waits_for_pong:
            self.drop(_REASON.PING_TIMEOUT)
            return
        self._waits_for_pong = True
        if self._websocket is None:
            self.queue.put_nowait(engine_packets.Packet(engine_packets.PING))
        else:
            self._websocket.write(_PING)
        self.server.beats.set(self, self.server.ping_timeout)

    async def check_ping_timeout(self) -> bool:
        """The wheel watches the heartbeat; asking here always finds it well."""
        if self.closed:
            raise exceptions.SocketIsClosedError
        return True

    # -- receiving

    def heard(self, data: str | bytes) -> None:
        """Handle one Engine.IO packet; bytes are always a message."""
        if self.closed:
            return
        if isinstance(data, bytes):
            self.server.receiver.received(self, data)
        elif data[:1] == "4":
            self.server.receiver.received(self, data[1:])
        elif data == "3":
            self.schedule_ping()
        elif data[:1] == "1":
            self.drop(_REASON.CLIENT_DISCONNECT, WSCloseCode.OK)
        elif data[:1] not in ("2", "3", "6"):
            self.drop(_REASON.TRANSPORT_ERROR, WSCloseCode.PROTOCOL_ERROR)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take in a long-polling POST: a declared length, a bounded number of packets, all of it in time."""
        try:
            packets = await self._posted(environ)
        except exceptions.EngineIOError:
            self._is_broken = True
            raise
        for packet in packets:
            self.heard(packet)

    async def _posted(self, environ: dict[str, Any]) -> list[str | bytes]:
        length = int(environ.get("CONTENT_LENGTH", "-1"))
        if not 0 < length <= self.server.max_http_buffer_size:
            raise exceptions.ContentTooLongError
        if self._is_posted:
            raise exceptions.UnknownPacketError
        self._is_posted = True
        try:
            async with asyncio.timeout(POST_SECONDS):
                body = await environ["wsgi.input"].readexactly(length)
            return _packets_of(body.decode())
        except (asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            raise exceptions.UnknownPacketError from error
        finally:
            self._is_posted = False

    # -- polling and the way out of it

    def start_polling(self) -> None:
        """Packets wait in a queue between two polls."""
        self.queue, self.connected = asyncio.Queue(), True

    async def poll(self) -> list[engine_packets.Packet]:
        """Wait for packets; not for long once a probe was answered: then the upgrade waits for this."""
        if self._is_polled:  # two at once: their packets would come in any order
            self.drop(_REASON.TRANSPORT_ERROR)
            raise exceptions.QueueEmpty
        if self._probed:
            asyncio.get_running_loop().call_later(PROBED_POLL_SECONDS, self.end_poll)
        self._is_polled = True
        try:
            packets = await super().poll()
        finally:
            self._is_polled = False
        if not packets:  # it has ended
            raise exceptions.QueueEmpty
        return packets

    def probed(self) -> None:
        """A WebSocket asked to take over. Polling goes on until it does: proxies may swallow its messages."""
        self._probed = True
        self.end_poll()

    def probe_ended(self) -> None:
        self._probed = False

    def end_poll(self) -> None:
        """Answer a poll that waits, so that the client can upgrade."""
        if self._probed and self.queue.empty():
            self.queue.put_nowait(engine_packets.Packet(engine_packets.NOOP))

    def attach(self, websocket: WebSocket) -> None:
        """Go on by WebSocket; what was queued for polling goes first."""
        self.upgraded = self.connected = True
        self._websocket = websocket
        while self.queue is not None and not self.queue.empty():
            pkt = self.queue.get_nowait()
            if pkt is not None and pkt.packet_type != engine_packets.NOOP:
                websocket.write(_frame_of(pkt))
        if self._probed and self.queue is not None:
            self.queue.put_nowait(engine_packets.Packet(engine_packets.NOOP))  # a poll may wait still
        self._probed = False

    # -- closing

    def drop(self, reason: str, code: int = WSCloseCode.POLICY_VIOLATION) -> None:
        """Close now, without waiting for the other side. A slow or silent reader gets no goodbye.

        Engine.IO's CLOSE is not sent for it: some clients never come back after that.
        """
        if self.closed:
            return
        websocket = self._websocket
        self._gone(reason)
        if websocket is None:
            self._end_polling(reason)
        elif reason in _SILENTLY:
            websocket.abort()
        else:
            websocket.close(code, reason)

    def _end_polling(self, reason: str) -> None:
        if reason == _REASON.CLIENT_DISCONNECT:
            self.queue.put_nowait(engine_packets.Packet(engine_packets.NOOP))
        elif reason == _REASON.TRANSPORT_ERROR:
            self.queue.put_nowait(engine_packets.Packet(engine_packets.CLOSE))
        elif not self.queue.empty() and reason not in _SILENTLY:
            self.server.keep_farewell(self)
        self.queue.put_nowait(None)

    def hung_up(self) -> None:
        """The connection is over."""
        self.drop(_REASON.TRANSPORT_CLOSE)

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """The library's own way to close; the same as `drop`."""
        if abort and self._websocket is None:
            self._gone(reason or _REASON.SERVER_DISCONNECT)
            self.queue.put_nowait(None)
        else:
            self.drop(_REASON.TRANSPORT_ERROR if self._is_broken else reason or _REASON.SERVER_DISCONNECT)

    def _gone(self, reason: str) -> None:
        """Mark as closed, once, and say so."""
        if self.closed:
            return
        self.closing = self.closed = True
        self.server.beats.cancel(self)
        self.server.sockets.pop(self.sid, None)
        metrics.sockets_closed.labels(reason).inc()
        self.server.receiver.closed(self, reason)


class _Probe:
    """A WebSocket that wants to take over from polling: `2probe`, `3probe`, then `5` (Engine.IO v4)."""

    descriptor = -1

    def __init__(self, socket: EngineSocket) -> None:
        self._socket = socket
        self._websocket: WebSocket | None = None
        self._deadline = asyncio.get_running_loop().call_later(PROBE_SECONDS, self.fell_behind)
        self._was_answered = False

    def started(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    def heard(self, data: str | bytes) -> None:
        websocket, socket = self._websocket, self._socket
        if websocket is None:
            return
        if data == "2probe" and not self._was_answered:
            self._was_answered = True
            websocket.write(frame_of(b"3probe"))
            socket.probed()
        elif data == "5" and self._was_answered and not socket.closed and not socket.upgraded:
            self._deadline.cancel()
            websocket.belongs_to(socket)
            socket.attach(websocket)
        else:
            self.fell_behind()

    def fell_behind(self) -> None:
        """Not what was expected, or not in time."""
        if self._websocket is not None:
            self._websocket.close(WSCloseCode.PROTOCOL_ERROR)

    def hung_up(self) -> None:
        self._deadline.cancel()
        self._socket.probe_ended()


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


def _packets_of(payload: str) -> list[str | bytes]:
    """The packets of one POST (Engine.IO v4, "payload encoding"); raises `ValueError` for anything else.

    Clients put everything they have to say into one, so there may be many.
    """
    parts = payload.split(_SEPARATOR)
    if len(parts) > _MOST_POSTED or not all(part[:1] in _POSTED and part for part in parts):
        raise ValueError("not a payload")
    return [base64.b64decode(part[1:], validate=True) if part[0] == "b" else part for part in parts]


def _frame_of(pkt: engine_packets.Packet) -> bytes:
    encoded = cast("str | bytes", pkt.encode())
    return frame_of(encoded.encode()) if isinstance(encoded, str) else binary_frame_of(encoded)


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
        return f"{name}.{super().generate_id()}" if name else super().generate_id()

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
            "upgrades": self._upgrades(socket.sid, transport),
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
        refusal = _handshake_refusal(request) or self._upgrade_refusal(request, sid, polling)
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
            return _refusal("Invalid transport")
        if sid is None:
            return None if request.query.get("EIO") == "4" else _refusal("Unsupported protocol version")
        if polling is None or polling.closed:
            return _refusal("Invalid session")
        return None if polling.connected and not polling.upgraded else _refusal("Unexpected upgrade")

    def open(self, address: str, connection: asyncio.Transport, unread: bytes, key: str) -> None:
        """Make a socket of a connection whose handshake, with that `key`, was in order."""
        socket = self._new_socket(address)
        websocket = WebSocket(socket, connection, self.settings.limits)
        opening = engine_packets.Packet(engine_packets.OPEN, self._greeting(socket, "websocket"))
        socket.attach(websocket)
        self._announce(socket)
        websocket.start(_switching(key) + _frame_of(opening), unread)

    def _probe(self, polling: EngineSocket, connection: asyncio.Transport, unread: bytes, key: str) -> None:
        probe = _Probe(polling)
        websocket = WebSocket(probe, connection, self.settings.limits)
        probe.started(websocket)
        websocket.start(_switching(key), unread)


def _handshake_refusal(request: web.Request) -> web.Response | None:
    """What is wrong with an opening handshake (RFC 6455, section 4.2.1), if anything is."""
    headers = request.headers
    if request.method != "GET" or request.version < (1, 1):
        return _refusal("A WebSocket begins with GET over HTTP/1.1")
    if "upgrade" not in _words(headers.getall("Connection", ())):
        return _refusal("The Connection header does not name the upgrade")
    if headers.get("Sec-WebSocket-Version") != "13":
        return _refusal("Unsupported WebSocket version", 426, {"Sec-WebSocket-Version": "13"})
    try:
        key = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return None if len(key) == _KEY_BYTES else _refusal("The Sec-WebSocket-Key is not one")


def is_upgrade(request: web.Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return "websocket" in _words(request.headers.getall("Upgrade", ()))


def _words(values: Iterable[str]) -> list[str]:
    return [word.strip().lower() for value in values for word in value.split(",")]


def _refusal(why: str, status: int = 400, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(why, status=status, headers=headers)


def _switching(key: str) -> bytes:
    """The head that ends HTTP on a connection (RFC 6455, section 4.2.2); no extension is accepted."""
    proof = base64.b64encode(hashlib.sha1(key.encode() + _WEBSOCKET_ID, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"


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
            return _refusal("Invalid transport")
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


def connected_packet(sid: str) -> Packet:
    """Socket.IO's answer to CONNECT."""
    return Packet(cast("str", socket_packets.Packet(socket_packets.CONNECT, {"sid": sid}).encode()))


def refused_packet(data: dict[str, Any]) -> Packet:
    """Socket.IO's refusal of a CONNECT."""
    return Packet(cast("str", socket_packets.Packet(socket_packets.CONNECT_ERROR, data).encode()))
