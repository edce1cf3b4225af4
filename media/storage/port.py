"""What a storage backend does. One contract test (`tests/media/test_storage.py`) holds for all of them."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

StorageType = Literal["mongodb", "disk", "s3"]

CHUNK = 262_144
"""How many bytes are read, hashed and written at a time."""
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
LONGEST_KEY = 512


class StorageError(Exception):
    """The backend did not do it; nothing of it is visible, and it may be tried again."""


class NoRoom(StorageError):
    """The backend is full."""


class Missing(StorageError):
    """There are no bytes under that key."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are safe: on disk, or acknowledged by the backend."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backend has under a key."""

    key: str
    size: int
    at: datetime


class Storage(Protocol):
    """Keeps bytes under keys. What `put` has not finished is never visible, whatever dies in between."""

    @property
    def type(self) -> StorageType: ...

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        """Keep all bytes, in place of what was there; memory does not grow with their number.

        Raises `NoRoom`, `StorageError`, or what `chunks` raises; then the key is as it was.
        """
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` on, at most `length` of them; raises `Missing` with the first piece."""
        ...

    async def find(self, key: str) -> Kept | None:
        """What is kept under a key."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key; forgetting it again is fine."""
        ...

    def keys(self, prefix: str = "") -> AsyncIterator[Kept]:
        """Everything that is kept, by key."""
        ...

    async def sweep(self, before: datetime) -> int:
        """Remove what unfinished `put`s have left that began before that moment; how many there were."""
        ...


class Tally:
    """Passes bytes on and keeps count: how many, and their SHA-256."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks, self._hash = chunks, hashlib.sha256()
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            if chunk:
                await asyncio.to_thread(self._hash.update, chunk)
                self.size += len(chunk)
                yield chunk

    def stored(self, key: str) -> Stored:
        return Stored(key, self.size, self._hash.hexdigest())


def checked(key: str) -> str:
    """The key, if it is one: slashed names without dots in front; raises `ValueError`."""
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise ValueError("is no storage key")
    return key
