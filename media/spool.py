"""Uploads on their way: in a file, while they are looked at. Memory does not grow with them."""

import asyncio
import contextlib
import errno
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from common.errors import AppError, TooLarge
from media.kinds import HEAD
from media.storage.port import CHUNK

GATHERED = 1_048_576
LONGEST = 6 * 3600.0
"""Nothing is under way for so many seconds."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


class NoRoomHere(AppError):
    code, status, retryable = "no_room", 507, True
    text = "There is no room for uploads at the moment."


@dataclass(frozen=True, slots=True)
class Spooled:
    """An upload that has arrived: its file, a folder for what is made of it, and its first bytes."""

    path: Path
    folder: Path
    size: int
    head: bytes


class Spool:
    """A folder for what is under way, shared by all processes of a machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sweep(self) -> None:
        """Remove what dead processes have left."""
        if not self._folder.is_dir():
            return
        limit = time.time() - LONGEST
        for room in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if room.stat().st_mtime < limit:
                    shutil.rmtree(room, ignore_errors=True)

    @asynccontextmanager
    async def take(self, chunks: AsyncIterable[bytes], most: int) -> AsyncGenerator[Spooled]:
        """Write an upload to a file; raises `TooLarge` at once, `NoRoomHere`, or what `chunks` raises."""
        room = self._folder / uuid4().hex
        await asyncio.to_thread(_make, room / "made")
        try:
            path = room / "upload"
            size = await _write(path, chunks, most)
            head = await asyncio.to_thread(_head, path)
            yield Spooled(path, room / "made", size, head)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, room, True))


async def _write(path: Path, chunks: AsyncIterable[bytes], most: int) -> int:
    size, waiting = 0, bytearray()
    with path.open("xb", buffering=0) as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise TooLarge
            waiting += chunk
            if len(waiting) >= GATHERED:
                await asyncio.to_thread(_append, file, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(_append, file, bytes(waiting))
    return size


def _append(file: BinaryIO, data: bytes) -> None:
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoomHere from error
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoomHere from error
        raise


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


async def pieces_of(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a file."""
    with path.open("rb", buffering=0) as file:
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece
