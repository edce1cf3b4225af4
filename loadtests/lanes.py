"""The cheapest Socket.IO client there is: websocket frames written and read by hand, JSON left unread.

A lane is one connection. Frames are masked with a zero key, which costs nothing and is legal (RFC 6455, 5.3
asks for unpredictable keys to protect proxies; there is none on loopback).
"""

import asyncio
import base64
import re
import secrets
import socket
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

Acked = Callable[["Lane", int, bytes], None]
Heard = Callable[["Lane", bytes], None]

OPEN_SECONDS = 10.0

_MASK = bytes(4)
_OPEN = b"\r\n\r\n"
_SWITCHING = b"HTTP/1.1 101"
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_PONG = b"\x81\x81" + _MASK + b"3"


def frame_of(payload: bytes) -> bytes:
    """A final, masked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + _MASK + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + _MASK + payload


class TurnedAway(ConnectionError):
    """The handshake was refused; `retry_after` is what the server asked for, in seconds."""

    def __init__(self, head: bytes) -> None:
        self.status = int(head[9:12])
        wait = _RETRY_AFTER.search(head)
        self.retry_after = float(wait[1]) if wait else None
        super().__init__(f"{self.status}, come back after {self.retry_after}")


class Lane(asyncio.Protocol):
    """One authenticated socket. Counts what is delivered, and hands acks and other events on."""

    def __init__(self, host: str, token: str, acked: Acked, heard: Heard | None = None) -> None:
        self._host, self._token, self._acked, self._heard = host, token, acked, heard
        self._buffer = b""
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self.delivered = 0
        self.sent = 0

    @classmethod
    async def open(
        cls, url: str, token: str, acked: Acked, heard: Heard | None = None, *, source: str | None = None
    ) -> "Lane":
        """Connect (from the address `source`) and authenticate; raises `TurnedAway` or another `OSError`."""
        parts, loop = urlsplit(url), asyncio.get_running_loop()
        lane = cls(parts.netloc, token, acked, heard)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                local = (source, 0) if source else None
                await loop.create_connection(
                    lambda: lane, parts.hostname or "", parts.port or 80, local_addr=local
                )
                await lane.ready
        except BaseException:
            lane.abort()
            raise
        return lane

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = [
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
            f"Host: {self._host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        self._write("\r\n".join(lines).encode() + _OPEN)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self._settle(exc or ConnectionError("closed"))

    def _settle(self, problem: Exception | None = None) -> None:
        """What became of the attempt to connect."""
        if self.ready.done():
            return
        if problem is None:
            self.ready.set_result(None)
        else:
            self.ready.set_exception(problem)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Leave without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    def shrink(self, size: int) -> None:
        """Let the kernel keep but `size` bytes of what was not read."""
        if self._transport is not None:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def pause(self) -> None:
        """Read nothing any more."""
        if self._transport is not None:
            self._transport.pause_reading()

    def say(self, payload: bytes) -> None:
        """Send an event that is to be acked: `["name",{…}]`. Acks are numbered from 1."""
        self.sent += 1
        self._write(frame_of(b"42%d" % self.sent + payload))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not self._is_open:
            head, found, data = data.partition(_OPEN)
            if not found:
                self._buffer = head
                return
            if not head.startswith(_SWITCHING):
                self._settle(TurnedAway(head))
                self.abort()
                return
            self._is_open = True
        self._buffer = self._read_frames(data)

    def _read_frames(self, data: bytes) -> bytes:
        """Handle every whole frame; the rest."""
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if start + size > end:
                break
            self._take(data[start : start + size])
            at = start + size
        return data[at:]

    def _take(self, payload: bytes) -> None:
        kind = payload[:2]
        if kind == b"43":
            stop = payload.index(b"[")
            self._acked(self, int(payload[2:stop]), payload)
        elif kind == b"42":
            self.delivered += payload.startswith(b'42["new_message"')
            if self._heard is not None:
                self._heard(self, payload)
        elif payload == b"2":
            self._write(_PONG)
        elif kind[:1] == b"0":
            self._write(frame_of(b'40{"token":"%s"}' % self._token.encode()))
        elif kind == b"40":
            self._settle()
        elif kind == b"44":
            self._settle(ConnectionError(payload.decode()))
