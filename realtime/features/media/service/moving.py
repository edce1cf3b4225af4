"""Moving uploads to another storage, file by file: copied, compared, switched by one write, and then removed.

At any moment a file is whole where its document says. Who reads one that moves finds the rest of it in its
new place. What broke off is taken up by the next run.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from common.errors import AppError, Invalid
from common.ids import Id, new_id
from documents.media import Media, MediaFile, Moves, StorageType
from realtime.features.media import rules
from realtime.features.media.schemas.showing import Moved
from realtime.features.media.store import Shelves, told

log = structlog.get_logger(__name__)

LEASE = 60.0
RENEW_EVERY = 10.0
LOOK_EVERY = 2.0
PAGE = 100


class Damaged(Invalid):
    code, text = "media_damaged", "What is kept is not what was uploaded."


class LostClaim(Exception):
    """Somebody else moves it by now, or it is deleted."""


@dataclass(slots=True)
class _Tally:
    files: int = 0
    size: int = 0


Say = Callable[[str], None]


class Mover:
    """Moves everything that is in some storages to another one."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves, self._mover = shelves, new_id()

    async def run(self, target: StorageType, sources: Sequence[StorageType], say: Say) -> Moved:
        """Move until nothing is left that can be moved; what another run is at is waited for."""
        tally, failed = _Tally(), dict[Id, str]()
        self._shelves.of(target)
        while True:
            busy = await self._pass(target, list(sources), tally, failed)
            if not busy:
                break
            await asyncio.sleep(LOOK_EVERY)
        for media_id, why in failed.items():
            say(f"upload {media_id} stays where it is: {why}")
        unsettled = await Moves.unsettled(target)
        return Moved(tally.files, tally.size, len(failed) + unsettled)

    async def _pass(
        self, target: StorageType, sources: list[StorageType], tally: _Tally, failed: dict[Id, str]
    ) -> bool:
        """Go through all uploads once; whether some are being moved by somebody else."""
        after, is_busy = "", False
        while page := await Moves.waiting(target, sources, after, PAGE):
            for media_id, is_held in page:
                if media_id in failed:
                    continue
                if is_held:
                    is_busy = True
                    continue
                try:
                    await self._move(media_id, target, sources, tally)
                except AppError as error:
                    if await Media.visible(media_id) is not None:
                        failed[media_id] = error.code
                except LostClaim:
                    log.info("move_lost", media_id=media_id)
            after = page[-1][0]
        return is_busy

    async def _move(
        self, media_id: Id, target: StorageType, sources: list[StorageType], tally: _Tally
    ) -> None:
        """Move one upload, for as long as it is ours to move."""
        media = await Moves.claim(media_id, self._mover, LEASE)
        if media is None:
            return
        moving = asyncio.create_task(self._move_files(media, target, sources, tally))
        try:
            while not moving.done():
                await asyncio.wait([moving], timeout=RENEW_EVERY)
                if not moving.done() and not await Moves.renew(media_id, self._mover, LEASE):
                    raise LostClaim
            await moving
        except BaseException:
            moving.cancel()
            await asyncio.wait([moving])
            await Moves.interrupt(media_id, self._mover)
            raise
        await Moves.release(media_id, self._mover)

    async def _move_files(
        self, media: Media, target: StorageType, sources: list[StorageType], tally: _Tally
    ) -> None:
        if media.mover is not None:
            await self._clear(media)
        for file in media.files:
            if file.storage_type != target and file.storage_type in sources:
                await self._move_file(media.id, file, target)
                tally.files += 1
                tally.size += file.size

    async def _clear(self, media: Media) -> None:
        """Remove what a move that broke off has left: copies of which no document tells."""
        for storage in self._shelves.all():
            for file in media.files:
                if file.storage_type != storage.type:
                    await self._remove(file.model_copy(update={"storage_type": storage.type}))

    async def _move_file(self, media_id: Id, file: MediaFile, target: StorageType) -> None:
        copy = file.model_copy(update={"storage_type": target})
        async with self._shelves.read(file) as pieces:
            stored = await self._shelves.put(target, file.key, pieces)
        if (stored.size, stored.sha256) != (file.size, file.sha256):
            await self._remove(copy)
            raise Damaged
        await self._require_kept(copy)
        switched = await Moves.switch(
            media_id, self._mover, file.key, source=file.storage_type, target=target
        )
        # Either way one of the two is not read any more: it goes.
        if switched:
            await self._remove(file)
            return
        if await Media.file_of(file.key) is None:
            await self._remove(copy)
        raise LostClaim

    async def _require_kept(self, copy: MediaFile) -> None:
        """Believe the storage only once it shows the copy."""
        with told():
            kept = await self._shelves.of(copy.storage_type).find(copy.key)
        if kept is None or kept.size != copy.size:
            raise rules.StorageDown

    async def _remove(self, file: MediaFile) -> None:
        await self._shelves.delete([file])
