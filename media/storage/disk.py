"""Files on a disk: one for each content, a hard link for each key that has it.

`blobs/ab/<sha256>` is written under another name, flushed and renamed, so that it is whole or not there.
`keys/…` are links to blobs: the file system counts references, and one rename replaces what a key has.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

from media.storage.port import CHUNK, Kept, Missing, NoRoom, StorageError, StorageType, Stored, Tally, checked

T = TypeVar("T")

THREADS = 8
LISTED_AT_ONCE = 500
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TRIES = 5


class DiskStorage:
    """Content-addressed files under one folder."""

    type: StorageType = "disk"

    def __init__(self, folder: Path) -> None:
        self._blobs, self._keys, self._drafts = folder / "blobs", folder / "keys", folder / "drafts"
        for part in (self._blobs, self._keys, self._drafts):
            part.mkdir(parents=True, exist_ok=True)
        self._threads = ThreadPoolExecutor(THREADS, "disk")

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise Missing from error
        except OSError as error:
            raise (NoRoom if error.errno in _FULL else StorageError)(error.strerror) from error

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    # -- writing

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        link, tally = self._link(key), Tally(chunks)
        draft = self._drafts / uuid4().hex
        file = await self._run(lambda: draft.open("xb", buffering=0))
        try:
            async for chunk in tally:
                await self._run(lambda chunk=chunk: _write_all(file, chunk))
            stored = tally.stored(key)
            await self._run(lambda: self._settle(draft, file, link, stored.sha256))
        finally:
            await self._run(lambda: _discard(draft, file))
        return stored

    def _settle(self, draft: Path, file: BinaryIO, link: Path, sha256: str) -> None:
        """Flush the draft, make it the blob of its content, and point the key at it."""
        os.fsync(file.fileno())
        blob, old = self._blob(sha256), _hash_of(link)
        for _ in range(_TRIES):
            _make_folder(blob.parent)
            try:
                os.link(draft, blob)
                _flush_folder(blob.parent)
            except FileExistsError:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(blob)  # what is kept under the new key is kept since now
            with contextlib.suppress(FileNotFoundError):  # its last key has just been forgotten
                self._point(link, blob)
                break
        else:
            raise StorageError("the content vanishes as often as it is written")
        if old is not None and old != sha256:
            self._forget_unused(old)

    def _point(self, link: Path, blob: Path) -> None:
        _make_folder(link.parent)
        fresh = self._drafts / uuid4().hex
        os.link(blob, fresh)
        fresh.replace(link)
        fresh.unlink(missing_ok=True)  # renaming onto another link of the same file does nothing
        _flush_folder(link.parent)

    async def delete(self, key: str) -> None:
        link = self._link(key)
        await self._run(lambda: self._unlink(link))

    def _unlink(self, link: Path) -> None:
        sha256 = _hash_of(link)
        if sha256 is None:
            return
        link.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # the next one to go has taken the folder with it
            _flush_folder(link.parent)
        self._forget_unused(sha256)
        self._remove_empty(link.parent)

    def _remove_empty(self, folder: Path) -> None:
        """Folders of keys that are gone. Who is about to put one there makes them again."""
        with contextlib.suppress(OSError):
            while folder != self._keys:
                folder.rmdir()
                folder = folder.parent

    def _forget_unused(self, sha256: str) -> None:
        """Remove a blob that no key has any more. Who is about to link it finds it gone, and tries again."""
        blob = self._blob(sha256)
        with contextlib.suppress(FileNotFoundError):
            if blob.stat().st_nlink == 1:
                blob.unlink()

    # -- reading

    def path(self, key: str) -> Path:
        """Where the bytes are, for who can send files without copying them."""
        return self._link(key)

    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        link = self._link(key)
        file = await self._run(lambda: link.open("rb", buffering=0))
        try:
            await self._run(lambda: file.seek(start))
            left = length
            while left is None or left > 0:
                size = CHUNK if left is None else min(CHUNK, left)
                chunk = await self._run(lambda size=size: file.read(size))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            file.close()

    async def find(self, key: str) -> Kept | None:
        link = self._link(key)
        try:
            return await self._run(lambda: _kept(link, key))
        except Missing:
            return None

    async def keys(self, prefix: str = "") -> AsyncIterator[Kept]:
        walk = self._walk(self._keys, prefix)
        while batch := await self._run(lambda: list(islice(walk, LISTED_AT_ONCE))):
            for kept in batch:
                yield kept

    def _walk(self, folder: Path, prefix: str) -> Iterator[Kept]:
        """The keys below a folder, in the order of their names as one text."""
        try:
            found = list(folder.iterdir())
        except FileNotFoundError:  # its last key has just been forgotten
            return
        entries = [(f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in found]
        for _, entry in sorted(entries):
            key = entry.relative_to(self._keys).as_posix()
            if entry.is_dir():
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._walk(entry, prefix)
            elif key.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    yield _kept(entry, key)

    async def sweep(self, before: datetime) -> int:
        return await self._run(lambda: self._sweep(before.timestamp()))

    def _sweep(self, before: float) -> int:
        """Drafts that nobody finishes, and blobs whose key was never made or not forgotten to the end."""
        left = [draft for draft in self._drafts.iterdir() if _is_left(draft, before)]
        unused = [blob for blob in self._blobs.glob("*/*") if _is_left(blob, before, links=1)]
        for file in (*left, *unused):
            file.unlink(missing_ok=True)
        return len(left) + len(unused)

    # -- names

    def _link(self, key: str) -> Path:
        return self._keys / checked(key)

    def _blob(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _discard(draft: Path, file: BinaryIO) -> None:
    file.close()
    draft.unlink(missing_ok=True)


def _hash_of(link: Path) -> str | None:
    """Which content a key has; read again, which is dear, and rarely asked for."""
    try:
        with link.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _kept(link: Path, key: str) -> Kept:
    """Raises `FileNotFoundError` also for a folder: that is a part of keys, and no key."""
    state = link.stat()
    if not stat.S_ISREG(state.st_mode):
        raise FileNotFoundError
    return Kept(key, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC))


def _is_left(file: Path, before: float, links: int | None = None) -> bool:
    try:
        state = file.stat()
    except FileNotFoundError:
        return False
    return state.st_mtime < before and links in (None, state.st_nlink)


def _make_folder(folder: Path) -> None:
    """Make a folder so that it survives a loss of power, and its parents with it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    """What was renamed or linked in a folder is on disk only once the folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
