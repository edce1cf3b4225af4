# The libraries below carry no types, and this is the module that knows their private parts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUnknownParameterType=false
"""One Engine.IO connection, by WebSocket or by long polling."""

import asyncio
from typing import Any, Protocol

import engineio
from aiohttp import WSCloseCode
from engineio import async_socket, exceptions
from engineio import packet as engine_packets

from common import metrics
from common.settings import Settings
from realtime.fanout.packets import Packet, frame_of
from realtime.fanout.sending import NOWHERE
from realtime.gateway.transport.packets import packet_frame, packets_of
from realtime.gateway.websocket import WebSocket
from realtime.wheel import Wheel

PROBE_SECONDS = 10.0
PROBED_POLL_SECONDS = 0.1
POST_SECONDS = 15.0
EPHEMERAL_SHARE = 8
"""An ephemeral packet is dropped when more than 1/8 of the packets that may wait for a poll do so already."""

_PING = frame_of(b"2")
_REASON = engineio.AsyncServer.reason
_SILENTLY = frozenset({_REASON.PING_TIMEOUT, _REASON.TRANSPORT_CLOSE, "slow_consumer"})
"""Why a connection is cut: nobody would hear a goodbye."""


class Receiver(Protocol):
    """What happens with sockets; none of it may wait."""

    def opened(self, socket: "EngineSocket") -> None: ...

    def received(self, socket: "EngineSocket", data: str | bytes) -> None: ...

    def closed(self, socket: "EngineSocket", reason: str) -> None: ...


class Engine(Protocol):
    """The server, as its sockets need it."""

    settings: Settings
    receiver: Receiver
    sockets: "dict[str, EngineSocket]"
    ping_interval: Any
    ping_timeout: Any
    max_http_buffer_size: int
    beats: "Wheel[EngineSocket]"

    def keep_farewell(self, socket: "EngineSocket") -> None: ...


class EngineSocket(async_socket.AsyncSocket):
    """One Engine.IO connection, by WebSocket or by long polling."""

    # What the library's own sockets are made with; sockets that never poll need no queue.
    queue: Any = None
    upgrading = upgraded = closing = closed = connected = False
    last_ping = session = None

    server: "Engine"
    peer: Any = None
    direct = NOWHERE
    _websocket: WebSocket | None = None
    _probed = _waits_for_pong = _is_polled = _is_posted = _is_broken = False

    def __init__(self, server: "Engine", sid: str, address: str) -> None:
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
        """Send the rest of a frame of which `direct` took so many bytes; below 0, it broke."""
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
            self._websocket.write(packet_frame(pkt))

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
            return packets_of(body.decode())
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
                websocket.write(packet_frame(pkt))
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
        """The connection is over, or about to be."""
        if self._websocket is None:
            self.drop(_REASON.TRANSPORT_CLOSE)
        else:
            self._gone(_REASON.TRANSPORT_CLOSE)

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


class Probe:
    """A WebSocket that wants to take over from polling: `2probe`, `3probe`, then `5` (Engine.IO v4)."""

    direct = NOWHERE

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
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.close(WSCloseCode.PROTOCOL_ERROR)

    def hung_up(self) -> None:
        self._deadline.cancel()
        self._socket.probe_ended()
