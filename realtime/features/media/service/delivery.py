"""Which bytes answer a request for an upload, and who may keep them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from common.ids import Id
from documents.media import Media, MediaFile
from realtime.features.media import rules
from realtime.features.media.service.audience import Audience
from realtime.features.media.store import Shelves

PLAYLIST = "application/vnd.apple.mpegurl"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: a variant, AVIF if it may be, and the signed part of the address."""

    variant: str = ""
    avif: bool = False
    signed: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """A file as it is sent. `pieces` gives the bytes from a start on, so many of them."""

    size: int
    etag: str
    content_type: str
    filename: str
    pieces: Callable[[int, int], AsyncIterator[bytes]]
    path: Path | None
    is_public: bool
    varies: bool


class Delivery:
    """Finds the file of a variant, for who may see the upload."""

    def __init__(self, audience: Audience, shelves: Shelves) -> None:
        self._audience, self._shelves = audience, shelves

    async def find(self, viewer: Id | None, media_id: Id, wanted: Wanted) -> Served:
        """The file to send; raises `MediaNotFound`, or `StillProcessing` for a video that cannot play yet."""
        media = await self._audience.find(viewer, media_id)
        file = rules.chosen(media.files, wanted.variant, avif=wanted.avif)
        if file is None:
            raise (
                rules.StillProcessing(retry_after=5.0) if media.state == "processing" else rules.MediaNotFound
            )
        if file.content_type == PLAYLIST and wanted.signed:
            return self._text(media, file, await self._signed_playlist(file, wanted.signed))
        return Served(
            file.size,
            file.sha256[:32],
            file.content_type,
            _name(media, file),
            lambda start, length: self._pieces(file, start, length),
            self._shelves.path(file),
            self._audience.is_public(media),
            rules.has_avif(media.files),
        )

    async def _pieces(self, file: MediaFile, start: int, length: int) -> AsyncIterator[bytes]:
        async with self._shelves.read(file, start, length) as pieces:
            async for piece in pieces:
                yield piece

    async def _signed_playlist(self, file: MediaFile, signed: str) -> bytes:
        """A player asks for the next file by what its playlist says: the signature goes along."""
        text = b"".join([piece async for piece in self._pieces(file, 0, file.size)])
        return text.replace(b"?variant=", f"?{signed}&variant=".encode())

    def _text(self, media: Media, file: MediaFile, text: bytes) -> Served:
        async def pieces(start: int, length: int) -> AsyncIterator[bytes]:
            yield text[start : start + length]

        etag = sha256(text).hexdigest()[:32]
        return Served(len(text), etag, file.content_type, _name(media, file), pieces, None, False, False)


def _name(media: Media, file: MediaFile) -> str:
    return f"{media.id}-{file.variant}.{file.extension}" if file.variant else f"{media.id}.{file.extension}"
