"""One's uploads: listed, referred to, deleted; and sweeping what nobody refers to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import structlog

from common.clock import now
from common.errors import AppError
from common.ids import Id
from common.media_settings import Media as Bounds
from documents.media import Media
from media.kinds import Family
from media.spool import Spool
from realtime.features.media import rules
from realtime.features.media.schemas import MediaOut, address_of
from realtime.features.media.service.views import shown
from realtime.features.media.store import Shelves

log = structlog.get_logger(__name__)

STALE = timedelta(hours=1)
"""An upload that has not settled by then has broken off."""
AT_ONCE = 100
T = TypeVar("T")


class Turn(Protocol):
    """A transaction in which audit rows are written."""

    @property
    def session(self) -> Any: ...

    async def note(self, actor: str, action: str, target: Id, /, **detail: Any) -> None: ...


class Audit(Protocol):
    """Where it is written down what administrators do."""

    async def turn(self, work: Callable[[Any], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class Attached:
    """What a thing shows: its address, and whether it is an `image` or a `video`."""

    url: str
    family: Family


class Library:
    """What people have uploaded, and what becomes of it."""

    def __init__(self, bounds: Bounds, shelves: Shelves, spool: Spool, audit: Audit) -> None:
        self._bounds, self._shelves, self._spool, self._audit = bounds, shelves, spool, audit

    async def page(
        self, owner: Id, limit: int, before: tuple[datetime, Id] | None = None, skip: int = 0
    ) -> tuple[list[MediaOut], tuple[datetime, Id] | None]:
        """One's uploads, newest first, and behind what to go on if there are more."""
        found = await Media.page(owner, limit + 1, before, skip)
        last = found[limit - 1] if len(found) > limit else None
        return [shown(media) for media in found[:limit]], (last.uploaded_at, last.id) if last else None

    async def count(self, owner: Id) -> int:
        return await Media.count_of(owner)

    async def attach(self, owner: Id, media_id: Id, ref: str) -> Attached:
        """Let a thing refer to one's own upload, which shows it to whoever sees the thing."""
        media = await Media.attach(media_id, owner, ref)
        if media is None:
            known = await Media.visible(media_id)
            raise rules.MediaNotFound if known is None or known.owner != owner else rules.ShownTooOften
        return Attached(address_of(media.id), media.family)

    async def address(self, owner: Id, media_id: Id) -> str:
        """The address of one's own upload; raises `MediaNotFound`."""
        media = await Media.visible(media_id)
        if media is None or media.owner != owner:
            raise rules.MediaNotFound
        return address_of(media_id)

    async def detach(self, ref: str, *, but: Iterable[Id] = ()) -> None:
        """A thing is gone, or refers to nothing but these now."""
        await Media.detach(ref, but=but)

    async def release(self, owner: Id, media_id: Id, ref: str) -> None:
        """A thing is gone that referred to an upload: what nothing else refers to goes with it, at once."""
        await Media.detach(ref)
        media = await Media.delete_unused(media_id, owner)
        if media is not None:
            await self._remove(media)

    async def delete(self, owner: Id, media_id: Id) -> None:
        """Delete one's own upload. Nobody sees it any more when this returns."""
        media = await Media.delete_own(media_id, owner)
        if media is None:
            raise rules.MediaNotFound
        await self._remove(media)

    async def delete_as_admin(self, admin: Id, media_id: Id) -> None:
        """Delete anybody's upload; the audit log says who did."""

        async def work(turn: Turn) -> Media:
            media = await Media.delete_own(media_id, None, turn.session)
            if media is None:
                raise rules.MediaNotFound
            await turn.note(admin, "upload_deleted", media.owner, media=media_id)
            return media

        await self._remove(await self._audit.turn(work))

    # -- of somebody who wants a copy of it, or leaves

    async def files_of(self, user_id: Id) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Somebody's uploads by name, each read when its turn comes."""
        before: tuple[datetime, Id] | None = None
        while page := await Media.page(user_id, AT_ONCE, before):
            for media in page:
                file = next((one for one in media.files if not one.variant), media.source)
                if file is not None:
                    async with self._shelves.read(file) as pieces:
                        yield media.filename, pieces
            before = page[-1].uploaded_at, page[-1].id

    async def erase(self, user_id: Id) -> None:
        """Delete everything somebody has uploaded; doing it again is fine."""
        for media in await Media.erase_all(user_id):
            if not await self._remove(media):
                raise rules.StorageDown

    # -- sweeping

    async def sweep(self) -> int:
        """Remove what broke off or failed, and what nothing has referred to for long; how many there were."""
        moment = now()
        await asyncio.to_thread(self._spool.sweep)
        swept = 0
        unused_before = moment - timedelta(seconds=self._bounds.unused_after)
        for media in await Media.abandon(moment - STALE, unused_before, AT_ONCE):
            swept += await self._remove(media)
        return swept

    async def sweep_storages(self) -> int:
        """Remove what unfinished writing has left in the storages themselves; how much there was."""
        before = now() - STALE
        return sum([await storage.sweep(before) for storage in self._shelves.all()])

    async def _remove(self, media: Media) -> bool:
        """Its bytes, then its document: what cannot be removed now is found again by the next sweep."""
        files = [*media.files, *([media.source] if media.source else [])]
        try:
            await self._shelves.delete(files)
            await self._shelves.delete_folder(media.folder)
        except AppError as error:
            log.warning("media_not_removed", media_id=media.id, code=error.code)
            return False
        await Media.forget(media.id)
        return True
