"""Cutting videos: one after the other, on whatever node is free, again after a crash."""

import asyncio
import contextlib
from typing import Any

import structlog

from common.errors import AppError
from common.media_settings import Media as Bounds
from documents.media import Media
from media.kinds import AVI, MP4, MPEG, QUICKTIME, WEBM
from media.pool import JobRefused, Pool
from media.spool import Spool, Spooled
from media.videos.limits import Limits
from realtime import channels
from realtime.fanout import Fanout
from realtime.features.media.schemas import MediaFailed, MediaProgress, MediaReady
from realtime.features.media.service.uploads import Uploads
from realtime.features.media.service.views import shown
from realtime.features.media.store import Shelves
from realtime.features.updates import UpdateService

log = structlog.get_logger(__name__)

LEASE = 60.0
RENEW_EVERY = 20.0
LOOK_EVERY = 15.0
ATTEMPTS = 3
_KINDS = {kind.content_type: kind for kind in (MP4, QUICKTIME, AVI, WEBM, MPEG)}


class LostLease(Exception):
    """Somebody else cuts it by now."""


class Cutter:
    """Claims videos and makes what `media.videos.pipeline.cut` makes. A lease says who is at it."""

    def __init__(self, bounds: Bounds, shelves: Shelves, spool: Spool, pool: Pool, uploads: Uploads) -> None:
        self._bounds, self._shelves, self._spool, self._pool = bounds, shelves, spool, pool
        self._uploads = uploads
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._fanout: Fanout
        self._updates: UpdateService

    def tell_by(self, fanout: Fanout, updates: UpdateService) -> None:
        """Where progress and results are said."""
        self._fanout, self._updates = fanout, updates

    def start(self) -> None:
        self._uploads.on_video = lambda _: self._wake.set()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._work()) for _ in range(self._bounds.video_workers)]

    async def stop(self) -> None:
        while left := [task for task in self._tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.5)

    async def _work(self) -> None:
        while True:
            try:
                while await self._cut_one():
                    pass
                await self._give_up_exhausted()
            except Exception as error:
                log.warning("cutting_failed", error=type(error).__name__)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._wake.wait()

    async def _cut_one(self) -> bool:
        """Cut a video that waits; False when there is none."""
        media = await Media.claim(LEASE, ATTEMPTS)
        if media is None:
            return False
        try:
            await self._cut(media)
        except JobRefused as refusal:
            await self._fail(media, refusal.code)
        except LostLease:
            log.info("cutting_lost", media_id=media.id)
        except (
            AppError
        ) as error:  # the storage or the database is away: the lease ends, and somebody tries again
            log.warning("cutting_interrupted", media_id=media.id, code=error.code)
        return True

    async def _cut(self, media: Media) -> None:
        source = media.source
        if source is None:
            raise JobRefused("broken_video")
        async with self._shelves.read(source) as pieces, self._spool.take(pieces, source.size) as spooled:
            made = await self._renewing(media, spooled, source.content_type)
            fresh = [await self._uploads.store_file(media.folder, spooled.folder, file) for file in made]
        names = {file.variant for file in fresh}
        files = [*fresh, *(file for file in media.files if file.variant not in names)]
        changes = {
            "state": "ready",
            "files": [file.model_dump() for file in files],
            "size": sum(file.size for file in files),
            "source": None,
            "leased_until": None,
        }
        settled = await Media.settle(media.id, changes, of=("processing",), attempt=media.attempts)
        if settled is None:
            if await Media.visible(media.id) is None:  # deleted meanwhile: nothing will tell of what was made
                await self._shelves.delete(fresh)
            raise LostLease
        await self._shelves.delete([source])
        ready = MediaReady(media=shown(settled))
        await self._updates.append([media.owner], ready, key=f"media:{media.id}")

    async def _renewing(self, media: Media, spooled: Spooled, content_type: str) -> list[dict[str, Any]]:
        """Cut, while the lease is renewed; losing it ends the work."""
        kind, limits = _KINDS[content_type], Limits(seconds=self._bounds.video_seconds)

        def tell(progress: float) -> None:
            said = MediaProgress(media_id=media.id, progress=progress)
            self._fanout.publish(channels.user(media.owner), said)

        cutting = asyncio.ensure_future(self._pool.cut(spooled.path, kind, spooled.folder, limits, tell))
        try:
            while not cutting.done():
                await asyncio.wait([cutting], timeout=RENEW_EVERY)
                if not cutting.done() and not await Media.renew(media.id, media.attempts, LEASE):
                    raise LostLease
            return (await cutting)["files"]
        finally:
            cutting.cancel()

    async def _give_up_exhausted(self) -> None:
        """A video that kills whoever cuts it is not cut for ever."""
        for media in await Media.exhausted(ATTEMPTS):
            await self._fail(media, "too_expensive")

    async def _fail(self, media: Media, code: str) -> None:
        log.info("video_refused", media_id=media.id, code=code)
        changes: dict[str, Any] = {"state": "failed", "refs": []}
        if await Media.settle(media.id, changes, of=("processing",), attempt=media.attempts) is not None:
            failed = MediaFailed(media_id=media.id, code=code)
            await self._updates.append([media.owner], failed, key=f"media:{media.id}")
