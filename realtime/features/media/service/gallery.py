"""The gallery app's way to upload: under keys that say what and when, and straight into the object store."""

from collections.abc import AsyncIterable, Callable
from datetime import datetime

from common.clock import now
from common.ids import Id, new_id
from common.media_settings import Media as Bounds
from documents.media import Media
from media.kinds import GIF, HEIC, JPEG, PNG, WEBP
from realtime.features.media import rules
from realtime.features.media.schemas import MediaOut, address_of
from realtime.features.media.schemas.gallery import GalleryImageOut, KeptOut, PresignedOut, PresignedQuery
from realtime.features.media.service.arrivals import DIRECT_SECONDS, IMAGES, Arrivals
from realtime.features.media.service.library import Library
from realtime.features.media.service.uploads import Incoming, Uploads
from realtime.policy import Policy

_TYPES = {kind.content_type for kind in (JPEG, PNG, GIF, WEBP, HEIC)}


class Gallery:
    """Takes images in and finds them by their keys."""

    def __init__(
        self, bounds: Bounds, uploads: Uploads, arrivals: Arrivals, library: Library, policy: Policy
    ) -> None:
        self._bounds, self._uploads, self._arrivals = bounds, uploads, arrivals
        self._library, self._policy = library, policy

    async def upload(self, owner: Id, chunks: AsyncIterable[bytes], category: Callable[[], str]) -> KeptOut:
        """Take an image in; `category` is known once its bytes have been read."""
        incoming = Incoming(chunks, self._bounds.image_bytes, IMAGES, lambda: folder_of(category(), now()))
        return await self._kept(await self._uploads.receive(owner, incoming))

    async def presign(self, owner: Id, wanted: PresignedQuery) -> PresignedOut:
        """Where the bytes of an image may be put, and under which key it will be."""
        if wanted.content_type not in _TYPES:
            raise rules.UnsupportedMedia
        folder = folder_of(wanted.category, now())
        arriving = await self._arrivals.announce(owner, folder, wanted.content_type, wanted.size)
        url, headers = await self._arrivals.address_of(arriving)
        return PresignedOut(upload_url=url, key=arriving.key, headers=headers, expires_in=DIRECT_SECONDS)

    async def complete(self, owner: Id, key: str) -> KeptOut:
        """Look at what was put there, and keep it."""
        return await self._kept(await self._arrivals.complete(owner, key))

    async def _kept(self, media: MediaOut) -> KeptOut:
        found = await Media.visible(media.id)
        if found is None:
            raise rules.MediaNotFound
        return KeptOut(url=address_of(found.id), key=found.files[0].key)

    async def delete(self, user_id: Id, key: str) -> None:
        """Delete one's own image by its key; an administrator anybody's."""
        media = await Media.with_key(key)
        if media is None:
            raise rules.MediaNotFound
        if media.owner == user_id:
            await self._library.delete(user_id, media.id)
        elif await self._policy.administers(user_id):
            await self._library.delete_as_admin(user_id, media.id)
        else:
            raise rules.MediaNotFound

    async def page(
        self, user_id: Id, limit: int, before: tuple[datetime, Id] | None = None, skip: int = 0
    ) -> tuple[list[GalleryImageOut], int, tuple[datetime, Id] | None]:
        """One's own images, an administrator's those of all; their number, and behind what to go on."""
        owner = None if await self._policy.administers(user_id) else user_id
        found = await Media.page(owner, limit + 1, before, skip)
        last = found[limit - 1] if len(found) > limit else None
        shown = [_shown(media) for media in found[:limit] if media.family == "image"]
        return shown, await Media.count_of(owner), (last.uploaded_at, last.id) if last else None


def folder_of(category: str, moment: datetime) -> str:
    """`{category}/{year}/{month}/{timestamp}_{uuid}`: what a key is before its extension."""
    return f"{category}/{moment:%Y/%m}/{moment:%Y%m%d%H%M%S}_{new_id()}"


def _shown(media: Media) -> GalleryImageOut:
    main = media.files[0]
    return GalleryImageOut(
        url=address_of(media.id),
        key=main.key,
        size=main.size,
        content_type=main.content_type,
        width=media.width,
        height=media.height,
        uploaded_at=media.uploaded_at,
    )
