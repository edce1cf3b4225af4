"""Files in the database: a GridFS bucket."""

import re
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from gridfs import AsyncGridFSBucket
from gridfs.errors import CorruptGridFile, NoFile
from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from common.clock import now

PIECE = 261_120
AT_ONCE = 4
"""How many pieces are stored by one insert."""
UNFINISHED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is whole."""

    key: str
    size: int
    at: datetime


class FileWriter:
    """A file on its way in. Its document is written last: until then nobody finds it.

    The driver's own writer would gather 32 MB before it stores anything.
    """

    def __init__(self, files: "Files", key: str) -> None:
        self._files, self._key, self._id = files, key, ObjectId()
        self._waiting = bytearray()
        self._pieces = self._size = 0

    async def write(self, chunk: bytes) -> None:
        self._waiting += chunk
        self._size += len(chunk)
        if len(self._waiting) >= AT_ONCE * PIECE:
            await self._store(len(self._waiting) // PIECE * PIECE)

    async def _store(self, size: int) -> None:
        """Store the first `size` bytes of what waits."""
        with memoryview(self._waiting) as waiting:
            pieces = [bytes(waiting[start : min(start + PIECE, size)]) for start in range(0, size, PIECE)]
        del self._waiting[:size]
        first, self._pieces = self._pieces, self._pieces + len(pieces)
        await self._files.add_pieces(self._id, first, pieces)

    async def finish(self) -> None:
        """Make it visible, in place of what the key had."""
        if self._waiting:
            await self._store(len(self._waiting))
        await self._files.add(self._id, self._key, self._size)

    async def abandon(self) -> None:
        """Remove what was written."""
        await self._files.forget(self._id)


class Files:
    """A bucket. The newest id of a name is the file; who writes a name again removes the older ones."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], name: str) -> None:
        self._bucket = AsyncGridFSBucket(database, name, PIECE)
        self._files, self._pieces = database[f"{name}.files"], database[f"{name}.chunks"]
        self._has_indexes = False

    # -- writing

    def begin(self, key: str) -> FileWriter:
        return FileWriter(self, key)

    async def add_pieces(self, file_id: ObjectId, first: int, pieces: Sequence[bytes]) -> None:
        """Store pieces of a file, numbered from `first`."""
        if not self._has_indexes:
            await self._files.create_index([("filename", ASCENDING), ("uploadDate", ASCENDING)])
            await self._pieces.create_index([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)
            self._has_indexes = True
        found = [{"files_id": file_id, "n": first + n, "data": data} for n, data in enumerate(pieces)]
        with _as_os_errors():
            await self._pieces.insert_many(found)

    async def add(self, file_id: ObjectId, key: str, size: int) -> None:
        """A file is whole: it is what the key has from now on."""
        file = {"_id": file_id, "filename": key, "length": size, "chunkSize": PIECE, "uploadDate": now()}
        with _as_os_errors():
            await self._files.insert_one(file)
            await self._remove({"filename": key, "_id": {"$lt": file_id}})

    async def forget(self, file_id: ObjectId) -> None:
        """The document first: what cannot be read whole is not to be found."""
        await self._files.delete_one({"_id": file_id})
        await self._pieces.delete_many({"files_id": file_id})

    async def remove(self, key: str) -> None:
        """Remove every file of a name."""
        await self._remove({"filename": key})

    async def _remove(self, which: dict[str, Any]) -> None:
        async for found in self._files.find(which, {"_id": 1}):
            await self.forget(found["_id"])

    # -- reading

    async def find(self, key: str) -> Entry | None:
        found = await self._newest(key)
        return _entry(found) if found is not None else None

    async def _newest(self, key: str) -> dict[str, Any] | None:
        return await self._files.find_one({"filename": key}, sort=[("_id", DESCENDING)])

    async def pieces(self, key: str, start: int, length: int | None, size: int) -> AsyncIterator[bytes]:
        """The bytes of a file; raises `LookupError` when it is not, or no longer, there."""
        found = await self._newest(key)
        if found is None:
            raise LookupError(key)
        try:
            async with await self._bucket.open_download_stream(found["_id"]) as stream:
                await stream.seek(min(start, found["length"]))
                left = found["length"] - start if length is None else length
                while left > 0 and (piece := await stream.read(min(size, left))):
                    left -= len(piece)
                    yield piece
        except (NoFile, CorruptGridFile) as error:
            raise LookupError(key) from error
        except PyMongoError as error:
            raise OSError(type(error).__name__) from error

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[Entry]:
        """Files by name."""
        name: dict[str, Any] = {"$gt": after, "$regex": f"^{re.escape(prefix)}"}
        found = self._files.find({"filename": name}).sort("filename", ASCENDING).limit(limit)
        return [_entry(file) for file in await found.to_list()]

    async def remove_unfinished(self, before: datetime) -> int:
        """Remove pieces that belong to no file and were begun before that moment; of how many files."""
        oldest = {"files_id": {"$lt": ObjectId.from_datetime(before)}, "n": 0}
        files = {"from": self._files.name, "localField": "files_id", "foreignField": "_id", "as": "file"}
        removed = 0
        pipeline: list[dict[str, Any]] = [
            {"$match": oldest},
            {"$lookup": files},
            {"$match": {"file": []}},
            {"$project": {"files_id": 1}},
            {"$limit": UNFINISHED_AT_ONCE},
        ]
        async for piece in await self._pieces.aggregate(pipeline):
            await self._pieces.delete_many({"files_id": piece["files_id"]})
            removed += 1
        return removed


@contextmanager
def _as_os_errors() -> Generator[None]:
    """Who keeps bytes knows nothing of this database."""
    try:
        yield
    except PyMongoError as error:
        raise OSError(type(error).__name__) from error


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(found["filename"], found["length"], found["uploadDate"])
