"""RFC 6455 by hand: frames as a test wants them, and a client that looks at every octet it gets back."""

import asyncio
import base64
import json
import os
import socket as sockets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import urlsplit

WAIT = 10.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NEW_SESSION = "EIO=4&transport=websocket"
NO_CHANGES: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, whole or a fragment; whether it is allowed is for the server to say."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0

    def encode(self, *, masked: bool = True, length: bytes | None = None) -> bytes:
        """The octets of it; `length` stands in for the seven bits and what follows them."""
        first = self.fin << 7 | self.rsv << 4 | self.opcode
        size = shortest_length(len(self.payload)) if length is None else length
        if not masked:
            return bytes((first,)) + size + self.payload
        mask = os.urandom(4)
        return bytes((first, size[0] | 0x80)) + size[1:] + mask + apply_mask(self.payload, mask)

    def __repr__(self) -> str:
        more = "" if self.fin else ", …"
        return f"<{self.opcode:x}: {len(self.payload)} octets {self.payload[:40]!r}{more}>"


def shortest_length(size: int) -> bytes:
    if size < 126:
        return bytes((size,))
    return b"\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x7f" + size.to_bytes(8, "big")


def apply_mask(data: bytes, mask: bytes) -> bytes:
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def text(data: str | bytes, *, fin: bool = True, rsv: int = 0) -> Frame:
    return Frame(TEXT, data.encode() if isinstance(data, str) else data, fin, rsv)


def binary(data: bytes, *, fin: bool = True, rsv: int = 0) -> Frame:
    return Frame(BINARY, data, fin, rsv)


def more(data: bytes, *, fin: bool = False) -> Frame:
    """A further fragment."""
    return Frame(CONTINUATION, data, fin)


def ping(data: bytes = b"", *, rsv: int = 0) -> Frame:
    return Frame(PING, data, rsv=rsv)


def pong(data: bytes = b"") -> Frame:
    return Frame(PONG, data)


def close(code: int | None = None, reason: bytes = b"", *, rsv: int = 0) -> Frame:
    return Frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason, rsv=rsv)


def fragments(message: Frame, size: int) -> list[Frame]:
    """A message in fragments of `size` octets."""
    parts = [message.payload[at : at + size] for at in range(0, len(message.payload), size)]
    first = Frame(message.opcode, parts[0], fin=len(parts) == 1)
    return [first, *(more(part, fin=n == len(parts)) for n, part in enumerate(parts[1:], 2))]


def upgrade_request(
    host: str, query: str = NEW_SESSION, changes: Mapping[str, str | None] = NO_CHANGES
) -> bytes:
    """An upgrade request; a header given as None is left out."""
    headers: dict[str, str | None] = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **changes,
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET /socket.io/?{query} HTTP/1.1", *lines, "", ""]).encode()


class Wire:
    """A connection to a server that has answered an upgrade request.

    A bare socket, since what a server said before it broke the connection must be read all the same.
    """

    def __init__(
        self,
        url: str,
        query: str = NEW_SESSION,
        *,
        headers: Mapping[str, str | None] = NO_CHANGES,
        ahead: bytes = b"",
        behind: bytes = b"",
        chop: int | None = None,
    ) -> None:
        """`ahead` are complete requests on the same connection; `behind` is written with the upgrade."""
        self._url = urlsplit(url)
        self._ahead = ahead
        self._chop = chop
        self._request = upgrade_request(self._url.netloc, query, headers) + behind
        self._loop = asyncio.get_running_loop()
        self._socket = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
        self._heard = bytearray()
        self._has_closed = False
        self.head = ""

    async def __aenter__(self) -> Self:
        self._socket.setblocking(False)
        self._socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        async with asyncio.timeout(WAIT):
            await self._loop.sock_connect(self._socket, (self._url.hostname, self._url.port))
            await self.say(self._ahead, self._request, chop=self._chop)
            for _ in range(self._ahead.count(b"\r\n\r\n")):
                await self._skip_answer()
            self.head = (await self._until(b"\r\n\r\n")).decode()
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def open(self) -> dict[str, Any]:
        """Read Engine.IO's greeting; what it says."""
        greeting = await self.hear()
        assert greeting is not None
        assert (greeting.opcode, greeting.payload[:1]) == (TEXT, b"0")
        return json.loads(greeting.payload[1:])

    async def say(self, *said: Frame | bytes, chop: int | None = None) -> None:
        """Write frames or octets in one go, or in pieces of `chop` octets, while the server takes them."""
        data = b"".join(part if isinstance(part, bytes) else part.encode() for part in said)
        step = chop or max(1, len(data))
        self._has_closed |= any(isinstance(part, Frame) and part.opcode == CLOSE for part in said)
        async with asyncio.timeout(WAIT):
            try:
                for at in range(0, len(data), step):
                    await self._loop.sock_sendall(self._socket, data[at : at + step])
                    await asyncio.sleep(0)
            except ConnectionError:
                return

    async def hear(self) -> Frame | None:
        """The next frame, or None at the end of the connection. What no server may send fails the test."""
        async with asyncio.timeout(WAIT):
            return await self._read() if self._heard or await self._more() else None

    async def hear_all(self) -> list[Frame]:
        """Every frame until the server closes the connection; its close is answered if it was the first."""
        heard: list[Frame] = []
        while (frame := await self.hear()) is not None:
            heard.append(frame)
            if frame.opcode == CLOSE and not self._has_closed:
                await self.say(Frame(CLOSE, frame.payload[:2]))
        return heard

    async def _read(self) -> Frame:
        first, second = await self._take(2)
        assert second < 0x80, "a server does not mask"
        size, minimum = second, 0
        if second >= 126:
            width, minimum = (2, 126) if second == 126 else (8, 65_536)
            size = int.from_bytes(await self._take(width), "big")
        assert size >= minimum, "a longer form than needed"
        assert first & 0x70 == 0, "reserved bits"
        return Frame(first & 0x0F, await self._take(size), fin=bool(first & 0x80))

    async def _take(self, size: int) -> bytes:
        while len(self._heard) < size:
            assert await self._more(), "the connection ended inside a frame"
        taken = bytes(self._heard[:size])
        del self._heard[:size]
        return taken

    async def _skip_answer(self) -> None:
        head = (await self._until(b"\r\n\r\n")).lower()
        size = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._take(int(size))

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._heard:
            assert await self._more(), "the connection ended before the answer did"
        return await self._take(self._heard.index(mark) + len(mark))

    async def _more(self) -> bool:
        try:
            data = await self._loop.sock_recv(self._socket, 65_536)
        except ConnectionError:
            return False
        self._heard += data
        return bool(data)

    def say_no_more(self) -> None:
        """Close our direction only."""
        self._socket.shutdown(sockets.SHUT_WR)

    def reset(self) -> None:
        """Break the connection so that the other side gets an RST."""
        self._socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def without_reasons(heard: list[Frame]) -> list[Frame]:
    """The same, but close frames carry their code alone: what else they say is the server's own affair."""
    return [
        Frame(frame.opcode, frame.payload[:2], frame.fin) if frame.opcode == CLOSE else frame
        for frame in heard
    ]
