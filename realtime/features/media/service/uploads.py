"""Taking uploads in: spooled, looked at in a process of its own, made anew, kept, and only then visible."""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from common.ids import Id, new_id
from common.media_settings import Media as Bounds
from documents.media import Media, MediaFile
from media.kinds import MP4, Family, Kind, kind_of
from media.pool import JobRefused, Pool, PoolBusy
from media.spool import Spool, Spooled, pieces_of
from media.videos.limits import Limits
from realtime.features.media import rules
from realtime.features.media.schemas import MediaOut
from realtime.features.media.service.views import shown
from realtime.features.media.store import Shelves

log = structlog.get_logger(__name__)

BOTH: tuple[Family, ...] = ("image", "video")
SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Incoming:
    """An upload that begins: its bytes, how many there may be, and what they may be."""

    chunks: AsyncIterable[bytes]
    most: int
    families: Sequence[Family] = BOTH
    naming: Callable[[], str] | None = None
    """What the keys of its files begin with, if that is special; asked when its bytes have been read."""


class Uploads:
    """The one way in for bytes. Whatever breaks on the way leaves nothing that anybody sees."""

    def __init__(self, bounds: Bounds, shelves: Shelves, spool: Spool, pool: Pool) -> None:
        self._bounds, self._shelves, self._spool, self._pool = bounds, shelves, spool, pool
        self._under_way = 0
        self.on_video: Callable[[Id], None] | None = None
        """Told of videos that are to be cut."""

    async def receive(self, owner: Id, incoming: Incoming) -> MediaOut:
        """Take an upload in; it is there when this returns.

        Raises `TooLarge`, `UnsupportedMedia`, what is wrong with the file, `QuotaExceeded`, `NoRoom`,
        `UploadBusy`, or what its bytes raise.
        """
        if self._under_way >= self._bounds.at_once:
            raise rules.UploadBusy(retry_after=1.0)
        self._under_way += 1
        try:
            await self._require_room(owner)
            async with self._spool.take(incoming.chunks, incoming.most) as spooled:
                return shown(await self._keep(owner, incoming, spooled))
        finally:
            self._under_way -= 1

    async def _require_room(self, owner: Id) -> None:
        """Refuse before the bytes come whose owner has no room at all."""
        size, count = await Media.room_of(owner)
        if size >= self._bounds.room_bytes or count >= self._bounds.room_count:
            raise rules.QuotaExceeded

    async def _keep(self, owner: Id, incoming: Incoming, spooled: Spooled) -> Media:
        kind = kind_of(spooled.head)
        if kind is None or kind.family not in incoming.families:
            raise rules.UnsupportedMedia
        made = await self._look(kind, spooled)
        media_id = new_id()
        extension = made["files"][0]["extension"] if kind.family == "image" else MP4.extension
        media = Media(
            id=media_id,
            owner=owner,
            family=kind.family,
            filename=f"{media_id}.{extension}",
            folder=incoming.naming() if incoming.naming else rules.folder_of(media_id),
            size=sum(file["size"] for file in made["files"])
            + (spooled.size if kind.family == "video" else 0),
        )
        await media.begin()
        try:
            return await self._store(media, kind, made, spooled)
        except BaseException:
            # Its document says that it is to go; what was kept of it goes with the next sweep.
            await asyncio.shield(Media.settle(media_id, {"state": "failed"}, of=("storing",)))
            raise

    async def _look(self, kind: Kind, spooled: Spooled) -> dict[str, Any]:
        try:
            if kind.family == "image":
                return await self._pool.image(spooled.path, kind, spooled.folder)
            limits = Limits(seconds=self._bounds.video_seconds)
            return await self._pool.video(spooled.path, kind, spooled.folder, limits)
        except JobRefused as refusal:
            raise rules.REFUSALS[refusal.code] from refusal
        except PoolBusy:
            raise rules.UploadBusy(retry_after=2.0) from None

    async def _store(self, media: Media, kind: Kind, made: dict[str, Any], spooled: Spooled) -> Media:
        size, count = await Media.room_of(media.owner)  # with this one, and with all that come beside it
        if size > self._bounds.room_bytes or count > self._bounds.room_count:
            raise rules.QuotaExceeded
        changes: dict[str, Any] = {name: made[name] for name in ("width", "height", "blurhash")}
        files = [await self.store_file(media.folder, spooled.folder, file) for file in made["files"]]
        changes["files"] = [file.model_dump() for file in files]
        if kind.family == "image":
            changes |= {"state": "ready", "animated": made["animated"]}
        else:
            source = {
                "variant": SOURCE,
                "path": "",
                "content_type": kind.content_type,
                "extension": kind.extension,
            }
            source |= {"width": made["width"], "height": made["height"], "size": spooled.size}
            kept = await self.store_file(media.folder, spooled.path, source)
            changes |= {"state": "processing", "duration": made["duration"], "source": kept.model_dump()}
        settled = await Media.settle(media.id, changes, of=("storing",))
        if settled is None:
            raise rules.MediaNotFound
        if kind.family == "video" and self.on_video is not None:
            self.on_video(media.id)
        log.info("upload_kept", media_id=media.id, family=kind.family, bytes=media.size)
        return settled

    async def store_file(self, folder: str, where: Path, file: dict[str, Any]) -> MediaFile:
        """Keep one of the files that were made."""
        path = where / file["path"] if file["path"] else where
        kind = self._shelves.type_for(file["size"])
        stored = await self._shelves.put(
            kind, rules.key_of(folder, file["variant"], file["extension"]), pieces_of(path)
        )
        return MediaFile(
            variant=file["variant"],
            key=stored.key,
            storage_type=kind,
            content_type=file["content_type"],
            extension=file["extension"],
            size=stored.size,
            sha256=stored.sha256,
            width=file["width"],
            height=file["height"],
        )
