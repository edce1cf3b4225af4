"""The storages there are, and which of them a file goes to."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

from common.media_settings import Storage as StorageSettings
from documents.database import Database
from documents.media import Media, MediaFile, StorageType
from media.storage import DiskStorage, GridStorage, Missing, NoRoom, S3Storage, Storage, StorageError, Stored
from media.storage.s3 import Bucket
from realtime.features.media import rules

BUCKET = "media"
MOST_MOVES = 5
"""So often a file may be moved while it is read."""


class Shelves:
    """Every storage of this installation: what was kept in one is found there, whatever is chosen today."""

    def __init__(self, settings: StorageSettings, database: Database, folder: Path) -> None:
        self._settings, self._database, self._folder = settings, database, folder
        self._storages: dict[StorageType, Storage] = {}
        self._disk: DiskStorage | None = None
        self.s3 = S3Storage(bucket) if (bucket := _bucket(settings)) is not None else None

    async def start(self) -> None:
        """Open what is configured."""
        self._disk = DiskStorage(self._folder)
        self._storages = {"mongodb": GridStorage(self._database.files(BUCKET)), "disk": self._disk}
        if self.s3 is not None:
            await self.s3.open()
            self._storages["s3"] = self.s3

    async def stop(self) -> None:
        if self._disk is not None:
            self._disk.close()
        if self.s3 is not None:
            await self.s3.close()

    def all(self) -> list[Storage]:
        return list(self._storages.values())

    def of(self, kind: StorageType) -> Storage:
        """The storage of that kind; raises `StorageDown` when it is not configured any more."""
        found = self._storages.get(kind)
        if found is None:
            raise rules.StorageDown
        return found

    def type_for(self, size: int) -> StorageType:
        return rules.storage_for(size, self._settings.disk_from, has_s3=self.s3 is not None)

    async def put(self, kind: StorageType, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        """Keep bytes; raises `NoRoom` or `StorageDown`."""
        with told():
            return await self.of(kind).put(key, chunks)

    @asynccontextmanager
    async def read(
        self, file: MediaFile, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of a file, the first of them read already; raises `MediaNotFound` or `StorageDown`.

        A file that is moved to another storage meanwhile is read on there.
        """
        pieces = self._pieces(file, start, length)
        with told():
            first = await anext(pieces, b"")
        yield _behind(first, pieces)

    async def _pieces(self, file: MediaFile, start: int, length: int | None) -> AsyncIterator[bytes]:
        for _ in range(MOST_MOVES):
            try:
                async for piece in self.of(file.storage_type).read(file.key, start, length):
                    start, length = start + len(piece), None if length is None else length - len(piece)
                    yield piece
                return
            except Missing:
                now_there = await Media.file_of(file.key)
                if now_there is None or now_there.storage_type == file.storage_type:
                    raise
                file = now_there
        raise Missing(file.key)

    def path(self, file: MediaFile) -> Path | None:
        """The file on this machine's disk, if that is where it is."""
        return self._disk.path(file.key) if file.storage_type == "disk" and self._disk is not None else None

    async def delete(self, files: list[MediaFile]) -> None:
        with told():
            for file in files:
                await self.of(file.storage_type).delete(file.key)

    async def delete_folder(self, folder: str) -> None:
        """Remove whatever is kept under these keys, in every storage: also what no document tells of."""
        with told():
            for storage in self.all():
                kept = await storage.find(folder)
                keys = [folder] if kept is not None else []
                for prefix in (f"{folder}.", f"{folder}/"):
                    keys += [kept.key async for kept in storage.keys(prefix)]
                for key in keys:
                    await storage.delete(key)


async def _behind(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in rest:
        yield piece


@contextlib.contextmanager
def told() -> Generator[None]:
    """What storages say, in the words of this feature."""
    try:
        yield
    except Missing as error:
        raise rules.MediaNotFound from error
    except NoRoom as error:
        raise rules.NoRoom from error
    except StorageError as error:
        raise rules.StorageDown from error


def _bucket(settings: StorageSettings) -> Bucket | None:
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if settings.s3_bucket is None or access is None or secret is None:
        return None
    return Bucket(
        settings.s3_url,
        settings.s3_bucket,
        settings.s3_region,
        access.get_secret_value(),
        secret.get_secret_value(),
        settings.s3_path_style,
        settings.s3_public_url,
    )
