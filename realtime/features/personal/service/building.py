"""Making a copy: a ZIP of JSON files, packed off the event loop and stored part by part as it grows."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from common.clock import now
from common.settings import Personal
from documents.personal import HOLDINGS, PART, Copy, Export, ExportPart, Holding
from realtime.features.personal.schemas import Belongings
from realtime.features.personal.store import Archive, manifest

log = structlog.get_logger(__name__)


class GivenUp(Exception):
    """Nobody wants this copy any more, or another node makes it."""


class Builder:
    """Makes the copies people have asked for, one at a time."""

    def __init__(self, limits: Personal, belongings: Sequence[Belongings]) -> None:
        self._belongings = belongings
        self._lease, self._pause = timedelta(seconds=limits.lease), timedelta(seconds=limits.look_every)
        self._lifetime = timedelta(seconds=limits.export_lifetime)

    async def work(self) -> bool:
        """Make the next copy somebody waits for; False when nobody does."""
        export = await Export.claim(self._lease)
        if export is None:
            return False
        try:
            await _Making(export, self._lease, self._lifetime).run(self._belongings)
        except GivenUp:
            log.info("export_given_up", user_id=export.id)
        except asyncio.CancelledError:
            await export.let_go()
            raise
        except Exception:
            await export.let_go(self._pause)
            raise
        return True


class _Making:
    """One attempt at a copy. Its memory does not grow with what is copied."""

    def __init__(self, export: Export, lease: timedelta, lifetime: timedelta) -> None:
        self._export, self._lease = export, lease
        self._made_at = now()
        self._expires_at = self._made_at + lifetime
        self._archive = Archive(self._made_at)
        self._waiting = bytearray()
        self._parts = self._size = 0

    async def run(self, belongings: Sequence[Belongings]) -> None:
        files = [(holding, copy) for holding in HOLDINGS for copy in holding.copies]
        counts = {copy.file: await self._add(holding, copy) for holding, copy in files}
        for owned in belongings:
            async for name, pieces in owned.files_of(self._export.id):
                await self._put(await self._archive.begin(name))
                async for piece in pieces:
                    await self._put(await self._archive.write(piece))
        about = manifest(self._export.id, self._export.asked_at, self._made_at, counts)
        await self._put(await self._archive.begin("manifest.json"))
        await self._put(await self._archive.write(about))
        await self._put(await self._archive.finish())
        await self._store(bytes(self._waiting))
        if not await self._export.finish(self._parts, self._size, self._expires_at):
            raise GivenUp
        log.info("export_ready", user_id=self._export.id, bytes=self._size)

    async def _add(self, holding: Holding, copy: Copy) -> int:
        """One file: a JSON array of what somebody gets of one kind of document; how long it is."""
        count = 0
        await self._put(await self._archive.begin(f"{copy.file}.json"))
        await self._put(await self._archive.write(b"["))
        async for rows in copy.rows_of(holding.kind, self._export.id):
            await self._put(await self._archive.write_rows(rows, first=count == 0))
            count += len(rows)
        await self._put(await self._archive.write(b"\n]\n"))
        return count

    async def _put(self, data: bytes) -> None:
        """Store what fills a part."""
        self._waiting += data
        while len(self._waiting) >= PART:
            part = bytes(self._waiting[:PART])
            del self._waiting[:PART]
            await self._store(part)

    async def _store(self, part: bytes) -> None:
        """One part more, if this attempt still counts."""
        if not await self._export.hold(self._lease):
            raise GivenUp
        await ExportPart.add(self._export, self._parts, part, self._expires_at)
        self._parts += 1
        self._size += len(part)
