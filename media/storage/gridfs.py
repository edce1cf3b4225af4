"""GridFS: bytes in MongoDB, in pieces. The document of a file comes last and makes it visible."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Sequence
from datetime import datetime
from typing import Protocol

from media.storage.port import CHUNK, Kept, Missing, StorageError, StorageType, Stored, Tally, checked

LISTED_AT_ONCE = 500


class GridEntry(Protocol):
    """What the bucket knows of a file."""

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def at(self) -> datetime: ...


class GridWriter(Protocol):
    """A file on its way in."""

    async def write(self, chunk: bytes) -> None: ...

    async def finish(self) -> None:
        """Make it visible, in place of what the key had."""
        ...

    async def abandon(self) -> None:
        """Remove what was written."""
        ...


class Grid(Protocol):
    """A bucket, as `documents.files` offers it. Trouble with the database is an `OSError`."""

    def begin(self, key: str) -> GridWriter: ...

    async def find(self, key: str) -> GridEntry | None: ...

    def pieces(self, key: str, start: int, length: int | None, size: int) -> AsyncIterator[bytes]:
        """Raises `LookupError` when the file is not, or no longer, there."""
        ...

    async def remove(self, key: str) -> None: ...

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[GridEntry]: ...

    async def remove_unfinished(self, before: datetime) -> int: ...


class GridStorage:
    """Files in a bucket of the database that everything else is in."""

    type: StorageType = "mongodb"

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        writer, tally = self._grid.begin(checked(key)), Tally(chunks)
        try:
            async for chunk in tally:
                await _done(writer.write(chunk))
            await _done(writer.finish())
        except BaseException:
            await _abandon(writer)
            raise
        return tally.stored(key)

    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        try:
            async for piece in self._grid.pieces(checked(key), start, length, CHUNK):
                yield piece
        except LookupError as error:
            raise Missing from error
        except OSError as error:
            raise StorageError from error

    async def find(self, key: str) -> Kept | None:
        found = await self._grid.find(checked(key))
        return Kept(found.key, found.size, found.at) if found is not None else None

    async def delete(self, key: str) -> None:
        await self._grid.remove(checked(key))

    async def keys(self, prefix: str = "") -> AsyncIterator[Kept]:
        after = ""
        while page := await self._grid.page(prefix, after, LISTED_AT_ONCE):
            for entry in page:
                yield Kept(entry.key, entry.size, entry.at)
            after = page[-1].key

    async def sweep(self, before: datetime) -> int:
        return await self._grid.remove_unfinished(before)


async def _done(work: Awaitable[None]) -> None:
    try:
        await work
    except OSError as error:
        raise StorageError from error


async def _abandon(writer: GridWriter) -> None:
    """As far as the database lets us; `sweep` does the rest."""
    try:
        await writer.abandon()
    except Exception:
        return
