"""The cheapest Socket.IO client there is: websocket frames written and read by hand, JSON left unread.

A lane is one connection. Frames are masked with a zero key, which costs nothing and is legal (RFC 6455, 5.3
asks for unpredictable keys to protect proxies; there is none on loopback).
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

Acked = Callable[["Lane", int, bytes], None]

_MASK = bytes(4)
_OPEN = b"\r\n\r\n"
_PONG = b"\x81\x81" + _MASK + b"3"


def frame_of(payload: bytes) -> bytes:
    """A final, masked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + _MASK + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + _MASK + payload


class Lane(asyncio.Protocol):
    """One authenticated socket. Counts what is delivered, and hands acks on."""

    def __init__(self, host: str, token: str, acked: Acked) -> None:
        self._host, self._token, self._acked = host, token, acked
        self._buffer = b""
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.delivered = 0
        self.sent = 0

    @classmethod
    async def open(cls, url: str, token: str, acked: Acked) -> "Lane":
        """Connect and authenticate."""
        parts, loop = urlsplit(url), asyncio.get_running_loop()
        _, lane = await loop.create_connection(
            lambda: cls(parts.netloc, token, acked), parts.hostname or "", parts.port or 80
        )
        await asyncio.wait_for(lane.ready, 10.0)
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
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

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
        elif payload == b"2":
            self._write(_PONG)
        elif kind[:1] == b"0":
            self._write(frame_of(b'40{"token":"%s"}' % self._token.encode()))
        elif kind == b"40":
            self.ready.set_result(None)
        elif kind == b"44":
            self.ready.set_exception(ConnectionError(payload.decode()))
