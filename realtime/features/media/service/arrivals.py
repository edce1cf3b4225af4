"""Uploads that do not come in one go: in pieces (tus 1.0), or straight into the object store.

What has arrived is kept in the storage, so that any node can take the next piece. When all of it is there it
is taken in like every other upload, once, whoever asks for it how often.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from common.clock import now
from common.errors import AppError, Conflict, Invalid, NotFound, TooLarge
from common.ids import Id, new_id
from common.media_settings import Media as Bounds
from documents.media import VISIBLE, Arriving, Media, MediaFile, Piece
from media.kinds import Family
from realtime.features.media import rules
from realtime.features.media.schemas import ArrivingOut, MediaOut
from realtime.features.media.service.uploads import BOTH, Incoming, Uploads
from realtime.features.media.service.views import shown
from realtime.features.media.store import Shelves

log = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=24)
DIRECT_SECONDS = 900
DIRECT_FOR = timedelta(seconds=DIRECT_SECONDS)
FINISHING = timedelta(minutes=10)
MOST_OPEN = 20
MOST_PIECES = 10_000
PIECE_BYTES = 8 * 1024 * 1024
"""So much is safe at a time, while more of it comes."""
AT_ONCE = 100
IMAGES: tuple[Family, ...] = ("image",)


class UploadNotFound(NotFound):
    code, text = "upload_not_found", "There is no such upload under way."


class WrongOffset(Conflict):
    code, text = "wrong_offset", "The upload goes on somewhere else."


class NotArrived(Conflict):
    code, text, retryable = "not_arrived", "The bytes have not arrived.", True


class NotAsAnnounced(Invalid):
    code, text = "not_as_announced", "What arrived is not what was announced."


class BeingFinished(Conflict):
    code, text, retryable = "upload_being_finished", "This upload is being finished.", True


class TooManyUploads(Conflict):
    code, text = "too_many_uploads", f"At most {MOST_OPEN} uploads can be under way."


class Arrivals:
    """Keeps what arrives until it is whole. A piece is added where the last one ended, by one write."""

    def __init__(self, bounds: Bounds, shelves: Shelves, uploads: Uploads, secret: bytes) -> None:
        self._bounds, self._shelves, self._uploads = bounds, shelves, uploads
        self._secret = hashlib.blake2b(secret, person=b"plaza arrivals", digest_size=32).digest()

    # -- in pieces

    async def begin(self, owner: Id, length: int, metadata: str) -> ArrivingOut:
        """Announce an upload of so many bytes."""
        if length > self._bounds.upload_bytes:
            raise TooLarge
        arriving_id = new_id()
        arriving = Arriving(
            id=arriving_id,
            owner=owner,
            way="pieces",
            key=f"pieces/{arriving_id}",
            folder=rules.folder_of(arriving_id),
            length=length,
            metadata=metadata,
            expires_at=now() + LIFETIME,
        )
        await self._expect(arriving)
        return await self.show(owner, arriving_id)

    async def show(self, owner: Id, arriving_id: Id) -> ArrivingOut:
        """How far one's own upload is, and what has become of it."""
        arriving = await self.find(owner, arriving_id)
        media = await Media.visible(arriving.media) if arriving.media is not None else None
        return ArrivingOut(
            id=arriving.id,
            offset=arriving.offset,
            length=arriving.length or 0,
            expires_at=arriving.expires_at,
            media=shown(media) if media is not None else None,
            metadata=arriving.metadata,
        )

    async def find(self, owner: Id, arriving_id: Id) -> Arriving:
        """One's own upload under way; raises `UploadNotFound`."""
        arriving = await Arriving.of(owner, _id=arriving_id)
        if arriving is None or arriving.way != "pieces":
            raise UploadNotFound
        return arriving

    async def append(
        self, owner: Id, arriving_id: Id, offset: int, chunks: AsyncIterable[bytes]
    ) -> MediaOut | None:
        """Add bytes at `offset`; what has become of them, when these were the last.

        What came before a connection broke counts. Raises `WrongOffset`, `TooLarge`.
        """
        arriving = await self.find(owner, arriving_id)
        if offset != arriving.offset or arriving.media is not None:
            raise WrongOffset(detail={"offset": arriving.offset})
        if len(arriving.pieces) >= MOST_PIECES:
            raise TooManyUploads
        length = arriving.length or 0
        source = _Source(_at_most(chunks, length - offset))
        while await source.has_more():
            offset = await self._add_piece(arriving, offset, source)
        if source.trouble is not None:
            raise source.trouble
        return await self.finish(owner, arriving_id) if offset == length else None

    async def _add_piece(self, arriving: Arriving, offset: int, source: "_Source") -> int:
        """Keep the next bytes; the offset behind them. Raises `WrongOffset` when somebody else was first."""
        key, kind = f"{arriving.key}/{offset:012d}-{new_id()[:8]}", self._shelves.type_for(PIECE_BYTES)
        stored = await self._shelves.put(kind, key, source.take(PIECE_BYTES))
        piece = Piece(start=offset, size=stored.size, key=key, storage_type=kind)
        reached = await Arriving.append(arriving.id, piece, now() + LIFETIME)
        if reached is None:
            await self._shelves.delete([_file(piece)])
            raise WrongOffset(detail={"offset": (await self.find(arriving.owner, arriving.id)).offset})
        return reached

    async def finish(self, owner: Id, arriving_id: Id) -> MediaOut:
        """Take in what is whole; again, it answers the same upload."""
        arriving = await self.find(owner, arriving_id)
        if arriving.media is None and arriving.offset != arriving.length:
            raise NotArrived
        incoming = Incoming(self._joined(arriving.pieces), arriving.length or 0, BOTH)
        return await self._finish(arriving, incoming)

    async def _joined(self, pieces: Sequence[Piece]) -> AsyncIterator[bytes]:
        for piece in pieces:
            async with self._shelves.read(_file(piece)) as read:
                async for chunk in read:
                    yield chunk

    async def abandon(self, owner: Id, arriving_id: Id) -> None:
        """Give an upload up."""
        arriving = await Arriving.drop(arriving_id, owner)
        if arriving is None:
            raise UploadNotFound
        await self._clear(arriving)

    # -- straight into the object store

    async def announce(self, owner: Id, folder: str, content_type: str, size: int | None) -> Arriving:
        """Expect an image of that type and size under the folder's name."""
        if size is not None and size > self._bounds.image_bytes:
            raise TooLarge
        arriving = Arriving(
            owner=owner,
            way="direct",
            key=f"{folder}.{content_type.rpartition('/')[2]}",
            folder=folder,
            content_type=content_type,
            length=size,
            expires_at=now() + LIFETIME,
        )
        await self._expect(arriving)
        return arriving

    async def address_of(self, arriving: Arriving) -> tuple[str, dict[str, str]]:
        """Where the bytes are taken, and with which headers: by the object store, or else by us."""
        if self._shelves.s3 is None:
            path = f"/api/upload/direct/{arriving.id}?signature={self._sign(arriving.id)}"
            return path, {"Content-Type": arriving.content_type}
        signed = await self._shelves.s3.presign_put(
            _waiting(arriving), arriving.content_type, arriving.length, DIRECT_SECONDS
        )
        return signed.url, signed.headers

    async def expected(self, arriving_id: Id, signature: str, content_type: str) -> Arriving:
        """The announced upload that a signed address of ours is for; raises `UploadNotFound`."""
        given = signature.encode(errors="replace")
        is_ours = hmac.compare_digest(given, self._sign(arriving_id).encode())
        arriving = await Arriving.expected(arriving_id, now() - DIRECT_FOR + LIFETIME) if is_ours else None
        if arriving is None:
            raise UploadNotFound
        if content_type != arriving.content_type:
            raise NotAsAnnounced
        return arriving

    def _sign(self, arriving_id: Id) -> str:
        return hmac.digest(self._secret, arriving_id.encode(), hashlib.sha256).hex()[:48]

    async def take(self, arriving: Arriving, chunks: AsyncIterable[bytes]) -> None:
        """The bytes, where there is no object store to take them."""
        most = arriving.length or self._bounds.image_bytes
        kind = self._shelves.type_for(most)
        stored = await self._shelves.put(kind, _waiting(arriving), _at_most(chunks, most))
        if arriving.length not in (None, stored.size):
            await self._shelves.delete([_file(_piece(arriving, stored.size, kind))])
            raise NotAsAnnounced
        piece = _piece(arriving, stored.size, kind)
        if await Arriving.append(arriving.id, piece, arriving.expires_at) is None:
            raise WrongOffset

    async def complete(self, owner: Id, key: str) -> MediaOut:
        """Look at what has arrived under `key`, and keep it if it is what was announced."""
        arriving = await Arriving.of(owner, key=key)
        if arriving is None or arriving.way != "direct":
            raise UploadNotFound
        if arriving.media is not None:
            return await self._became(arriving.media)
        piece = await self._arrived(arriving)
        if arriving.length not in (None, piece.size) or piece.size > self._bounds.image_bytes:
            await self.abandon(owner, arriving.id)
            raise NotAsAnnounced
        return await self._finish(arriving, Incoming(self._joined([piece]), self._bounds.image_bytes, IMAGES))

    async def _arrived(self, arriving: Arriving) -> Piece:
        if arriving.pieces:
            return arriving.pieces[0]
        kept = await self._shelves.s3.find(_waiting(arriving)) if self._shelves.s3 is not None else None
        if kept is None:
            raise NotArrived
        return _piece(arriving, kept.size, "s3")

    # -- both

    async def _expect(self, arriving: Arriving) -> None:
        """Note that it will come, unless there is too much: counted with it, for others begin beside it."""
        await arriving.add()
        kept, _ = await Media.room_of(arriving.owner)
        count, announced = await Arriving.open_ones(arriving.owner)
        if count <= MOST_OPEN and kept + announced <= self._bounds.room_bytes:
            return
        await Arriving.drop(arriving.id, arriving.owner)
        raise TooManyUploads if count > MOST_OPEN else rules.QuotaExceeded

    async def _finish(self, arriving: Arriving, incoming: Incoming) -> MediaOut:
        """Take it in, once: one caller does it, the others get its answer."""
        if arriving.media is None and not await Arriving.seize(arriving.id, now() + FINISHING):
            again = await Arriving.of(arriving.owner, _id=arriving.id)
            if again is None or again.media is None:
                raise BeingFinished(retry_after=1.0)
            arriving = again
        if arriving.media is not None:
            return await self._became(arriving.media)
        try:
            taken = await self._take_in(arriving, incoming)
        except BaseException as error:
            spoilt = isinstance(error, AppError) and not error.retryable
            await asyncio.shield(self._give_up(arriving) if spoilt else Arriving.release(arriving.id))
            raise
        await Arriving.release(arriving.id, taken.id)
        await self._clear(arriving)
        return taken

    async def _take_in(self, arriving: Arriving, incoming: Incoming) -> MediaOut:
        """What an earlier attempt kept and could not say any more; one that failed has used up the folder."""
        earlier = (await Media.with_folders([arriving.folder])).get(arriving.folder)
        if earlier is not None and earlier.state in VISIBLE:
            return shown(earlier)
        folder = arriving.folder if earlier is None else rules.folder_beside(arriving.folder)
        return await self._uploads.receive(arriving.owner, replace(incoming, naming=lambda: folder))

    async def _became(self, media_id: Id) -> MediaOut:
        media = await Media.visible(media_id)
        if media is None:
            raise rules.MediaNotFound
        return shown(media)

    async def _give_up(self, arriving: Arriving) -> None:
        """Its bytes are no good: trying again would not make them better."""
        await Arriving.drop(arriving.id, arriving.owner)
        await self._clear(arriving)

    async def _clear(self, arriving: Arriving) -> None:
        """Its pieces are not needed any more; what cannot be removed now is removed when it expires."""
        try:
            await self._shelves.delete_folder(
                arriving.key if arriving.way == "pieces" else _waiting(arriving)
            )
        except AppError as error:
            log.warning("pieces_not_removed", code=error.code)

    async def sweep(self) -> int:
        """Forget uploads that nobody went on with; how many there were."""
        expired = await Arriving.expired(AT_ONCE)
        for arriving in expired:
            await self._clear(arriving)
            await Arriving.drop(arriving.id, arriving.owner)
        return len(expired)

    async def erase(self, owner: Id) -> None:
        """Forget what somebody had under way."""
        for arriving in await Arriving.of_person(owner):
            await self._clear(arriving)
            await Arriving.drop(arriving.id, owner)


class _Source:
    """Bytes on their way, a piece at a time. When they break off, what came before still counts."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks, self._next = chunks, b""
        self.trouble: Exception | None = None

    async def has_more(self) -> bool:
        """Whether there is at least one more byte."""
        while not self._next and self.trouble is None:
            try:
                self._next = await anext(self._chunks)
            except StopAsyncIteration:
                return False
            except Exception as error:
                self.trouble = error
        return bool(self._next)

    async def take(self, most: int) -> AsyncIterator[bytes]:
        """The next bytes, at most so many."""
        while most and await self.has_more():
            chunk, self._next = self._next[:most], self._next[most:]
            most -= len(chunk)
            yield chunk


async def _at_most(chunks: AsyncIterable[bytes], most: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge
        yield chunk


def _waiting(arriving: Arriving) -> str:
    """Where the bytes are until they are looked at: never where they would be served from."""
    return f"waiting/{arriving.id}"


def _piece(arriving: Arriving, size: int, kind: rules.StorageType) -> Piece:
    return Piece(start=0, size=size, key=_waiting(arriving), storage_type=kind)


def _file(piece: Piece) -> MediaFile:
    return MediaFile(
        variant="", key=piece.key, storage_type=piece.storage_type, content_type="", extension="",
        size=piece.size, sha256="", width=0, height=0,
    )  # fmt: skip
