"""Sending bytes that are kept: the part that is asked for, without holding them in memory, without copying.

Ranges are RFC 9110, section 14. More than one range at once is answered with the whole, which is allowed.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from common.errors import AppError

STALL_SECONDS = 60.0
"""A reader who takes nothing for so long is cut off."""
AT_ONCE = 262_144
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_ALONE = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
"""A file that somebody opens by itself runs nothing and fetches nothing."""


class RangeRefused(AppError):
    code, status, text = "range_not_satisfiable", 416, "That part of the file does not exist."

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


@dataclass(frozen=True, slots=True)
class Download:
    """What is to be sent: its tag, where its bytes come from, and for how long who may keep it."""

    size: int
    etag: str
    content_type: str
    filename: str
    caching: str
    pieces: Callable[[int, int], AsyncIterator[bytes]]
    """The bytes from a start on, so many of them."""
    path: Path | None = None
    """The file on this machine, when it is one: then it is not copied."""
    vary: str = ""


async def send(request: web.Request, download: Download) -> web.StreamResponse:
    """The answer to a GET or HEAD for a file: 200, 206 or 304; raises `RangeRefused`."""
    headers = _headers(download)
    if _is_known(request, headers["ETag"]):
        return web.Response(status=304, headers=_without_body(headers))
    part = _part(request, download.size, headers["ETag"])
    start, length = part or (0, download.size)
    status = 206 if part is not None else 200
    headers["Content-Length"] = str(length)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{download.size}"
    if request.method == "HEAD" or length == 0:
        return web.Response(status=status, headers=headers)
    if download.path is not None and _may_skip_copying(request):
        with contextlib.suppress(FileNotFoundError):  # it has just been moved away: its bytes are elsewhere
            file = await asyncio.to_thread(download.path.open, "rb")
            return FileParts(file, start, length, status=status, headers=headers)
    body = await _begun(download.pieces(start, length))
    return web.Response(status=status, headers=headers, body=watched(request, body))


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, the first of them read already: what is wrong is said instead of broken off."""
    first = await anext(pieces, b"")

    async def all_of_them() -> AsyncIterator[bytes]:
        if first:
            yield first
        async for piece in pieces:
            yield piece

    return all_of_them()


def _headers(download: Download) -> dict[str, str]:
    headers = {
        **_ALONE,
        "ETag": f'"{download.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": download.content_type,
        "Cache-Control": download.caching,
        "Content-Disposition": disposition(download.filename),
    }
    if download.vary:
        headers["Vary"] = download.vary
    return headers


def disposition(filename: str, kind: str = "inline") -> str:
    """RFC 6266: a plain name for everybody, and the true one for those who understand it."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", filename)[:150] or "file"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename[:150], safe='')}"


def _without_body(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name not in {"Content-Type", "Content-Disposition"}
    }


def _is_known(request: web.Request, etag: str) -> bool:
    given = request.headers.get("If-None-Match")
    if given is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag in tags or "*" in tags


def _part(request: web.Request, size: int, etag: str) -> tuple[int, int] | None:
    """Start and length of the part that is asked for; None for the whole. Raises `RangeRefused`."""
    given = request.headers.get("Range")
    if given is None or request.method not in ("GET", "HEAD"):
        return None
    condition = request.headers.get("If-Range")
    if condition is not None and condition != etag:
        return None
    match = _RANGE.fullmatch(given.replace(" ", ""))
    if match is None or not (match[1] or match[2]) or len(given) > 60:
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        start, end = size - length, size - 1
    else:
        start, end = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or end < start:
        raise RangeRefused(size)
    return start, end - start + 1


async def watched(request: web.Request, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces; a connection on which one is not taken in time is closed."""
    loop = asyncio.get_running_loop()
    async for piece in pieces:
        transport = request.transport
        stalled = loop.call_later(STALL_SECONDS, transport.abort) if transport is not None else None
        try:
            yield piece
        finally:
            if stalled is not None:
                stalled.cancel()


# -- without copying


def _may_skip_copying(request: web.Request) -> bool:
    """The kernel sends files into plain sockets only."""
    transport = request.transport
    return (
        hasattr(os, "sendfile")
        and transport is not None
        and transport.get_extra_info("sslcontext") is None
        and transport.get_extra_info("socket") is not None
    )


class FileParts(web.StreamResponse):
    """A part of a file, handed from the disk to the socket by the kernel."""

    def __init__(
        self, file: BinaryIO, start: int, length: int, *, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(status=status, headers=headers)
        self._file, self._offset, self._left = file, start, length

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        try:
            if request.transport is not None:
                request.transport.set_write_buffer_limits(
                    0
                )  # so that `drain` waits until the headers are sent
            writer = await super().prepare(request)
            await _drained(writer)
            await self._send(request, self._file)
            await super().write_eof()
        finally:
            if request.transport is not None:
                request.transport.set_write_buffer_limits()
            await asyncio.to_thread(self._file.close)
        return writer

    async def _send(self, request: web.BaseRequest, file: BinaryIO) -> None:
        transport: Any = request.transport
        if transport is None:
            raise ConnectionResetError
        # A descriptor of our own: the event loop would not let us wait on one that it uses itself.
        socket = os.dup(transport.get_extra_info("socket").fileno())
        try:
            await _sendfile(socket, file, self._offset, self._left)
        except (BrokenPipeError, ConnectionError, TimeoutError):
            transport.abort()
            raise ConnectionResetError from None
        finally:
            os.close(socket)


async def _drained(writer: AbstractStreamWriter | None) -> None:
    if writer is not None:
        async with asyncio.timeout(STALL_SECONDS):
            await writer.drain()


async def _sendfile(socket: int, file: BinaryIO, start: int, left: int) -> None:
    """Raises `TimeoutError` when the reader takes nothing for too long."""
    loop = asyncio.get_running_loop()
    while left:
        try:
            sent = os.sendfile(socket, file.fileno(), start, min(left, AT_ONCE))
        except BlockingIOError:
            await _until_writable(loop, socket)
            continue
        if sent == 0:
            raise ConnectionResetError
        start, left = start + sent, left - sent
        await asyncio.sleep(0)


async def _until_writable(loop: asyncio.AbstractEventLoop, socket: int) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(socket, lambda: ready.done() or ready.set_result(None))
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await ready
    finally:
        loop.remove_writer(socket)
