"""A WebSocket after its upgrade: one small protocol on the connection, no task, and mostly no queue.

While nothing waits to be sent, `owner.direct` is the connection's socket, and anyone may send whole frames on
it. What the kernel does not take makes the reader one who is behind: there is no such socket then, what comes
waits here, bounded in frames and bytes, and who stays behind is cut off.
"""

import asyncio
import socket as sockets
from collections import deque
from typing import Protocol

from common.settings import Limits
from realtime.fanout.sending import NOWHERE
from realtime.gateway import frames

UNSENT_BYTES = 131_072
"""What the kernel may hold unsent for one reader (TCP_NOTSENT_LOWAT): its own buffers grow to megabytes."""
CHUNK = 65_536
"""Bytes handed to the event loop at a time for a reader who is behind."""
GOODBYE_SECONDS = 2.0


class Owner(Protocol):
    """Whose connection it is."""

    direct: sockets.socket

    def heard(self, data: str | bytes) -> None:
        """A whole message arrived."""
        ...

    def fell_behind(self) -> None:
        """More waits for this reader than may."""
        ...

    def hung_up(self) -> None:
        """The connection is over, whoever ended it."""
        ...


class WebSocket(asyncio.Protocol):
    """The server's end of one WebSocket."""

    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_direct",
        "_goodbye",
        "_is_over",
        "_limits",
        "_reader",
        "_transport",
        "owner",
    )

    def __init__(self, owner: Owner, transport: asyncio.Transport, limits: Limits) -> None:
        self.owner = owner
        self._transport, self._limits = transport, limits
        self._reader = frames.FrameReader(limits.frame_bytes)
        self._backlog: deque[bytes] | None = None
        self._backlog_bytes = 0
        self._goodbye: asyncio.TimerHandle | None = None
        self._is_over = False
        self._direct = NOWHERE

    def start(self, greeting: bytes, unread: bytes) -> None:
        """Take the connection over: answer the upgrade, then read what came behind the request."""
        self._transport.set_protocol(self)
        self._transport.set_write_buffer_limits(high=0)
        if self._transport.get_write_buffer_size() == 0:
            self.owner.direct = self._direct = _line_of(self._transport)
        self.write(greeting)
        if unread:
            self.data_received(unread)

    def belongs_to(self, owner: Owner) -> None:
        """Hand the connection to another owner."""
        owner.direct, self.owner.direct = self.owner.direct, NOWHERE
        self.owner = owner

    # -- writing

    def write(self, frame: bytes, *, ephemeral: bool = False) -> bool:
        """Send whole frames. False: an ephemeral one was dropped, since the reader is behind."""
        direct = self.owner.direct
        if direct is not NOWHERE:
            try:
                written = direct.send(frame)
            except BlockingIOError:
                written = 0
            except OSError:
                self.abort()
                return True
            if written < len(frame):
                self.finish(frame, written)
            return True
        return self._is_over or self._wait_with(frame, ephemeral)

    def finish(self, frame: bytes, written: int) -> None:
        """Somebody wrote directly, and only so much of `frame` was taken."""
        self._withdraw()
        self._transport.write(frame[written:])
        self.resume_writing()

    def _wait_with(self, frame: bytes, ephemeral: bool) -> bool:
        waiting = self._backlog_bytes + self._transport.get_write_buffer_size()
        if not self._backlog and (not waiting or waiting + len(frame) <= CHUNK):
            self._transport.write(frame)
            self.resume_writing()
            return True
        if ephemeral:
            return False
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = deque()
        if (
            len(backlog) >= self._limits.outgoing_packets
            or waiting + len(frame) > self._limits.outgoing_bytes
        ):
            self.owner.fell_behind()
            return True
        backlog.append(frame)
        self._backlog_bytes += len(frame)
        return True

    def resume_writing(self) -> None:
        """Go on with what waits, or write directly again, if all that was handed over is sent.

        The event loop says so only to who was paused, which it does not do when it could send at once.
        """
        while not self._is_over and self._transport.get_write_buffer_size() == 0:
            helping = self._next_helping()
            if not helping:
                self._backlog = None
                self._withdraw()
                self.owner.direct = self._direct = _line_of(self._transport)
                return
            self._transport.write(helping)

    def _next_helping(self) -> bytes:
        """What to hand over next of what waits."""
        helping: list[bytes] = []
        size = 0
        while self._backlog and size < CHUNK:
            helping.append(self._backlog.popleft())
            size += len(helping[-1])
        self._backlog_bytes -= size
        return b"".join(helping)

    # -- reading

    def data_received(self, data: bytes) -> None:
        text = self._reader.only(data)
        if text is not None:
            if not self._is_over:
                self.owner.heard(text)
        elif not self._reader.violation:
            self._read(data)

    def _read(self, data: bytes) -> None:
        for opcode, payload in self._reader.feed(data):
            if opcode == frames.CLOSE:
                self._answer_close(payload)  # pyright: ignore[reportArgumentType]  (control frames carry bytes)
                return
            if self._is_over:
                continue
            if opcode == frames.PING:
                self.write(frames.control_frame(frames.PONG, payload))  # pyright: ignore[reportArgumentType]
            elif opcode != frames.PONG:
                self.owner.heard(payload)
        if self._reader.violation:
            self._fail(self._reader.violation)

    def _answer_close(self, payload: bytes) -> None:
        try:
            code = frames.close_code(payload)
        except frames.Violation as violation:
            self._fail(violation.code)
            return
        if not self._is_over:
            self.write(frames.close_frame(code))
            self._leave_within(GOODBYE_SECONDS)
        self._end()
        self._transport.close()
        self.owner.hung_up()

    # -- ending

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye, and leave when the client has said it, too, or after a while."""
        if self._is_over:
            return
        self.write(frames.close_frame(code, reason))
        self._end()
        self._leave_within(GOODBYE_SECONDS)

    def _leave_within(self, seconds: float) -> None:
        """Whatever the client does, the connection ends."""
        self._goodbye = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def _fail(self, code: int) -> None:
        """Say what the client did wrong and nothing more; what it still sends is read and thrown away.

        To close at once would reset the connection, and the client might never read why.
        """
        if not self._is_over:
            self.close(code)
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self.owner.hung_up()

    def abort(self) -> None:
        """Cut the connection."""
        self._end()
        self._transport.abort()

    def _end(self) -> None:
        """No more writes: the descriptor will soon be somebody else's."""
        self._is_over = True
        self._withdraw()
        self._backlog, self._backlog_bytes = None, 0

    def _withdraw(self) -> None:
        """Let nobody write directly; whoever still has the socket finds it closed."""
        self.owner.direct = NOWHERE
        if self._direct is not NOWHERE:
            self._direct.detach()
            self._direct = NOWHERE

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        if self._goodbye is not None:
            self._goodbye.cancel()
            self._goodbye = None
        self.owner.hung_up()


class _Line(sockets.socket):
    """Another hand on a connection that the event loop owns: it sends, and never closes."""

    __slots__ = ()

    def __del__(self) -> None:
        self.detach()


_TCP = frozenset({int(sockets.AF_INET), int(sockets.AF_INET6)})
_NOTSENT_LOWAT = getattr(sockets, "TCP_NOTSENT_LOWAT", 25)


def _line_of(transport: asyncio.Transport) -> sockets.socket:
    """A way to send beside the transport; `NOWHERE` if something (TLS) is in between."""
    raw = transport.get_extra_info("socket")
    if raw is None:
        return NOWHERE
    family = int(raw.family)
    if family in _TCP:
        raw.setsockopt(sockets.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES)
    if transport.get_extra_info("ssl_object") is not None:
        return NOWHERE
    return _Line(family, raw.type, raw.proto, raw.fileno())
