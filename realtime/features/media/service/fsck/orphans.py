"""Whether what storages keep is told of: by an upload, or by one that is still arriving."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from common.clock import now
from common.ids import Id, new_id
from documents.media import Media, Moves, Pages
from media.storage import Kept, Storage
from realtime.features.media import rules
from realtime.features.media.service.fsck.report import Report, count
from realtime.features.media.store import Shelves, told

GRACE = timedelta(hours=1)
AT_ONCE = 200
CLAIM = 60.0


class Orphans:
    """Walks over all keys. Documents come before bytes: what is old and has none will never have one."""

    def __init__(self, shelves: Shelves, report: Report) -> None:
        self._shelves, self._report = shelves, report

    async def check(self) -> None:
        for storage in self._shelves.all():
            with told():
                async for page in _pages(storage):
                    await self._check(storage, page)

    async def _check(self, storage: Storage, page: Sequence[Kept]) -> None:
        before = now() - GRACE
        for kept in page:
            count(self._report.census.kept, storage.type, kept.size)
        old = [kept for kept in page if kept.at < before]
        uploads = await Media.with_folders([folder for kept in old for folder in rules.folders_of(kept.key)])
        arriving = await Pages.arriving([key for kept in old if (key := rules.arriving_of(kept.key))])
        for kept in old:
            if not rules.is_ours(kept.key):
                await self._report.found(
                    "foreign", kept.key, f"{kept.size} bytes in {storage.type}, not of ours"
                )
                continue
            media = next((uploads[one] for one in rules.folders_of(kept.key) if one in uploads), None)
            if rules.arriving_of(kept.key) in arriving:
                continue
            if media is None or not _tells_of(media, storage, kept, before):
                await self._tell(storage, kept, media)

    async def _tell(self, storage: Storage, kept: Kept, media: Media | None) -> None:
        async def remove() -> bool:
            return await self._remove(storage, kept, media.id if media is not None else None)

        whose = "nothing tells of it" if media is None else f"upload {media.id} does not tell of it"
        detail = f"{kept.size} bytes in {storage.type}: {whose}"
        await self._report.found("orphan", kept.key, detail, remove)

    async def _remove(self, storage: Storage, kept: Kept, media_id: Id | None) -> bool:
        if media_id is None:
            await storage.delete(kept.key)
            return True
        claim = new_id()  # as long as we hold it, nobody moves the upload to where we remove from
        media = await Moves.claim(media_id, claim, CLAIM)
        if media is None:
            return False
        try:
            is_orphan = not _tells_of(media, storage, kept, now() - GRACE)
            if is_orphan:
                await storage.delete(kept.key)
            return is_orphan
        finally:
            await Moves.release(media_id, claim)


def _tells_of(media: Media, storage: Storage, kept: Kept, before: datetime) -> bool:
    """Whether an upload has that file there; if it is still changing, it may."""
    if media.state != "ready" or media.changed_at > before:
        return True
    if media.moving_until is not None and media.moving_until > now() and media.mover is not None:
        return any(file.key == kept.key for file in media.files)
    return any(file.key == kept.key and file.storage_type == storage.type for file in media.files)


async def _pages(storage: Storage) -> AsyncIterator[list[Kept]]:
    page: list[Kept] = []
    async for kept in storage.keys():
        page.append(kept)
        if len(page) == AT_ONCE:
            yield page
            page = []
    if page:
        yield page
