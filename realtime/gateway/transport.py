# The libraries below carry no types, and this is the module that knows their private parts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUnknownParameterType=false
"""The transport: python-socketio and python-engineio on aiohttp, with what they lack.

This is the only module that touches their private parts (versions are pinned, and
tests/realtime/test_transport.py fails when they change). Added here: WebSocket frames are written straight to
the connection, encoded once for any number of readers; what a slow reader has not taken is bounded in bytes
and packets; no permessage-deflate; oversized frames are refused with close code 1009; heartbeats are timers;
closing never waits.
"""

import asyncio
import socket as sockets
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import engineio
import socketio
from aiohttp import WSCloseCode, WSMsgType, web
from engineio import async_socket, exceptions, payload
from engineio import packet as engine_packets
from socketio import packet as socket_packets

from common import metrics
from common.settings import Settings
from realtime.fanout.packets import Packet, frame_of

PROBE_SECONDS = 10.0
PROBED_POLL_SECONDS = 0.1
POST_SECONDS = 15.0
FAREWELL_SECONDS = 5.0
UNSENT_BYTES = 131_072
EPHEMERAL_SHARE = 8
"""An ephemeral packet is dropped when more than 1/8 of the outgoing budget waits already."""

ADDRESS = web.RequestKey("plaza.address", str)

_PING = frame_of(b"2")
_CLOSE = frame_of(b"1")


class _Payload(payload.Payload):
    """What one POST carries. Clients put everything they have to say into it, up to `maxPayload` bytes."""

    max_decode_packets = 500


class Receiver(Protocol):
    """What happens with sockets; none of it may wait."""

    def opened(self, socket: "EngineSocket") -> None: ...

    def received(self, socket: "EngineSocket", data: str | bytes) -> None: ...

    def closed(self, socket: "EngineSocket", reason: str) -> None: ...


def _text(packet: Any) -> str:
    """A packet of either library; without binary data in it, it is text."""
    return packet.encode()


class EngineSocket(async_socket.AsyncSocket):
    """One Engine.IO connection, by WebSocket or by long polling."""

    server: "EngineServer"

    def __init__(self, server: "EngineServer", sid: str) -> None:
        super().__init__(server, sid)
        self.address = ""
        self.peer: Any = None
        self._ws: web.WebSocketResponse | None = None
        self._wire: asyncio.Transport | None = None
        self._heartbeat: asyncio.TimerHandle | None = None
        self._probed = False
        self._tasks: set[asyncio.Task[None]] = set()

    # -- sending

    @property
    def transport(self) -> str:
        return "polling" if self._wire is None else "websocket"

    def write(self, packet: Packet, *, ephemeral: bool = False) -> None:
        """Send a packet, or drop it (ephemeral) or the reader (everything else) when too much waits."""
        if self.closed or self.closing:
            return
        limits = self.server.settings.limits
        share = EPHEMERAL_SHARE if ephemeral else 1
        if self._wire is None:
            if self.queue.qsize() >= limits.outgoing_packets // share:
                self._too_slow(ephemeral)
                return
            self.queue.put_nowait(engine_packets.Packet(engine_packets.MESSAGE, packet.text))
        elif self._wire.get_write_buffer_size() > limits.outgoing_bytes // share:
            self._too_slow(ephemeral)
        else:
            self._write_frame(packet.frame)

    def _write_frame(self, frame: bytes) -> None:
        if self._wire is not None and not self._wire.is_closing():
            self._wire.write(frame)

    def _too_slow(self, ephemeral: bool) -> None:
        if ephemeral:
            metrics.dropped.inc()
            return
        metrics.slow_consumers.inc()
        self.drop("slow_consumer")

    async def send(self, pkt: engine_packets.Packet) -> None:
        """What the libraries below send: handshakes, pings, noops."""
        if self.closed:
            return
        if self._wire is None:
            self.queue.put_nowait(pkt)
        else:
            self._write_frame(frame_of(_text(pkt).encode()))

    # -- heartbeat

    def schedule_ping(self) -> None:
        """Ping after the interval; a pong sets the next one."""
        self._set_timer(self.server.ping_interval, self._ping)

    def _set_timer(self, seconds: float, action: Callable[[], None]) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self._heartbeat = asyncio.get_running_loop().call_later(seconds, action)

    def _ping(self) -> None:
        if self.closed or self.closing:
            return
        if self._wire is None:
            self.queue.put_nowait(engine_packets.Packet(engine_packets.PING))
        else:
            self._write_frame(_PING)
        self._set_timer(self.server.ping_timeout, lambda: self.drop(self.server.reason.PING_TIMEOUT))

    async def check_ping_timeout(self) -> bool:
        """Timers watch the heartbeat; asking here always finds it well."""
        if self.closed:
            raise exceptions.SocketIsClosedError
        return True

    # -- receiving

    async def receive(self, pkt: engine_packets.Packet) -> None:
        """Handle one Engine.IO packet."""
        if pkt.packet_type == engine_packets.MESSAGE:
            await self.server._trigger_event("message", self.sid, pkt.data, run_async=False)
        elif pkt.packet_type == engine_packets.PONG:
            self.schedule_ping()
        elif pkt.packet_type == engine_packets.CLOSE:
            self.drop(self.server.reason.CLIENT_DISCONNECT)
        elif pkt.packet_type != engine_packets.PING:
            raise exceptions.UnknownPacketError

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take in a long-polling POST: a declared length, a bounded number of packets, all of it in time."""
        length = int(environ.get("CONTENT_LENGTH", "-1"))
        if not 0 < length <= self.server.max_http_buffer_size:
            raise exceptions.ContentTooLongError
        try:
            async with asyncio.timeout(POST_SECONDS):
                body = await environ["wsgi.input"].readexactly(length)
            packets = _Payload(encoded_payload=body.decode()).packets
        except (asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            raise exceptions.UnknownPacketError from error
        for pkt in packets:
            await self.receive(pkt)

    async def _websocket_handler(self, ws: "_WebSocket") -> None:
        if self.connected:
            if not await self._upgrade(ws):
                return
        else:
            self.connected = True
        self._attach(ws)
        try:
            await self._read(ws)
        finally:
            await self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _upgrade(self, ws: "_WebSocket") -> bool:
        """The probe of Engine.IO v4: `2probe`, `3probe`, then `5`.

        Polling goes on meanwhile, since many a proxy opens WebSockets and then swallows what they carry.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if await ws.wait() != "2probe":
                    return False
                self._probed = True
                await ws.send("3probe")
                self._end_poll()
                return await ws.wait() == "5" and not self.closed and not self.upgraded
        except (OSError, TimeoutError):
            return False
        finally:
            self._probed = False

    async def poll(self) -> list[engine_packets.Packet]:
        """Wait for packets; not for long once a probe was answered: then the upgrade waits for this."""
        if self._probed:
            asyncio.get_running_loop().call_later(PROBED_POLL_SECONDS, self._end_poll)
        return await super().poll()

    def _end_poll(self) -> None:
        if self._probed and self.queue.empty():
            self.queue.put_nowait(engine_packets.Packet(engine_packets.NOOP))

    def _attach(self, ws: "_WebSocket") -> None:
        """Take the connection over; what was queued for polling goes first."""
        self.upgraded = True
        self._ws, self._wire = ws.response, ws.wire
        raw = ws.wire.get_extra_info("socket")
        if raw is not None and raw.family in (sockets.AF_INET, sockets.AF_INET6):
            raw.setsockopt(sockets.IPPROTO_TCP, getattr(sockets, "TCP_NOTSENT_LOWAT", 25), UNSENT_BYTES)
        while not self.queue.empty():
            pkt = self.queue.get_nowait()
            if pkt is not None and pkt.packet_type != engine_packets.NOOP:
                self._write_frame(frame_of(_text(pkt).encode()))

    async def _read(self, ws: "_WebSocket") -> None:
        trigger = self.server._trigger_event
        while not self.closed:
            message = await ws.response.receive()
            if message.type is WSMsgType.TEXT:
                text: str = message.data
                if text[:1] == "4":
                    await trigger("message", self.sid, text[1:], run_async=False)
                elif text == "3":
                    self.schedule_ping()
                elif text[:1] == "1":
                    return
                elif text[:1] not in ("2", "3", "6"):
                    await trigger("message", self.sid, "", run_async=False)
            elif message.type is WSMsgType.BINARY:
                await trigger("message", self.sid, message.data, run_async=False)
            else:
                return

    # -- closing

    def drop(self, reason: str, code: int = WSCloseCode.POLICY_VIOLATION) -> None:
        """Close now, without waiting for the other side. A slow or silent reader gets no goodbye."""
        if self.closed:
            return
        goodbye = reason not in ("slow_consumer", self.server.reason.PING_TIMEOUT)
        self.peer_gone(reason)
        if self._ws is None or self._wire is None:
            if goodbye and self.queue.empty():
                # Clients act on CLOSE before what stands in front of it; without it the next poll is refused.
                self.queue.put_nowait(engine_packets.Packet(engine_packets.CLOSE))
            self.queue.put_nowait(None)
            self.server.keep_farewell(self)
        elif goodbye:
            self._write_frame(_CLOSE)
            task = asyncio.get_running_loop().create_task(self._close_websocket(self._ws, code, reason))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._wire.abort()

    async def _close_websocket(self, ws: web.WebSocketResponse, code: int, reason: str) -> None:
        wire = self._wire
        try:
            async with asyncio.timeout(2.0):
                await ws.close(code=code, message=reason.encode()[:120])
        except (TimeoutError, OSError, RuntimeError):
            pass
        finally:
            if wire is not None:
                wire.abort()

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """The library's own way to close; the same as `drop`."""
        if abort:
            self.peer_gone(reason or self.server.reason.SERVER_DISCONNECT)
            self.queue.put_nowait(None)
        else:
            self.drop(reason or self.server.reason.SERVER_DISCONNECT)

    def peer_gone(self, reason: str) -> None:
        """Mark as closed, once, and say so."""
        if self.closed:
            return
        self.closing = self.closed = True
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self.server.sockets.pop(self.sid, None)
        metrics.sockets_closed.labels(reason).inc()
        self.server.receiver.closed(self, reason)


class _WebSocket:
    """The WebSocket driver: aiohttp's, without compression and with a small frame limit."""

    def __init__(self, handler: Callable[["_WebSocket"], Awaitable[None]], server: "EngineServer") -> None:
        self._handler = handler
        self.response = web.WebSocketResponse(
            compress=False,
            max_msg_size=server.max_http_buffer_size + 1,
            timeout=2.0,
        )
        self.wire: asyncio.Transport

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        request: web.Request = environ["aiohttp.request"]
        await self.response.prepare(request)
        wire = request.transport
        if not isinstance(wire, asyncio.Transport) and wire is None:
            return self.response
        self.wire = wire
        await self._handler(self)
        return self.response

    async def wait(self) -> str:
        message = await self.response.receive()
        if message.type is not WSMsgType.TEXT:
            raise OSError
        return message.data

    async def send(self, text: str) -> None:
        await self.response.send_str(text)


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
        self._async = {**driver, "websocket": _WebSocket, "translate_request": self._environ}
        self._farewells: dict[str, EngineSocket] = {}

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
        packets = await socket.poll() if socket is not None else []
        if not packets:
            return None
        return await self._make_response(self._ok(packets), self._environ(request))

    async def _handle_connect(
        self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None
    ) -> Any:
        """The Engine.IO handshake: make a socket, greet it, then serve it or answer the first poll."""
        sid = self.generate_id()
        socket = self.sockets[sid] = EngineSocket(self, sid)
        socket.address = environ["plaza.address"]
        greeting = {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        socket.queue.put_nowait(engine_packets.Packet(engine_packets.OPEN, greeting))
        metrics.sockets_opened.inc()
        self.receiver.opened(socket)
        socket.schedule_ping()
        if transport == "websocket":
            return await socket.handle_get_request(environ)
        socket.connected = True
        return self._ok(await socket.poll(), jsonp_index=jsonp_index)


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
        self._receiver = receiver

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        """Sockets announce themselves to the receiver."""

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Sockets tell the receiver themselves."""

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            self._receiver.received(socket, data)

    async def handle(self, request: web.Request, address: str) -> web.StreamResponse:
        """Serve one HTTP request of either transport for a client at `address`."""
        request[ADDRESS] = address
        farewell = await self.eio.farewell(request)
        return farewell if farewell is not None else await self.eio.handle_request(request)

    def stop(self, code: int = WSCloseCode.SERVICE_RESTART) -> None:
        """Close every socket without waiting for any."""
        for socket in tuple(self.eio.sockets.values()):
            socket.drop("server_draining", code)


def connected_packet(sid: str) -> Packet:
    """Socket.IO's answer to CONNECT."""
    return Packet(_text(socket_packets.Packet(socket_packets.CONNECT, {"sid": sid})))


def refused_packet(data: dict[str, Any]) -> Packet:
    """Socket.IO's refusal of a CONNECT."""
    return Packet(_text(socket_packets.Packet(socket_packets.CONNECT_ERROR, data)))


DISCONNECT_PACKET = Packet(_text(socket_packets.Packet(socket_packets.DISCONNECT)))
