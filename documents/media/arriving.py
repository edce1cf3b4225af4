"""Uploads that arrive in pieces, or by way of an object store."""

from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel, ReturnDocument

from common.clock import now
from common.ids import Id, new_id
from documents.media.uploads import StorageType
from documents.rows import Raw, rows


class Piece(BaseModel):
    """Bytes that have arrived and are safe."""

    start: int
    size: int
    key: str
    storage_type: StorageType


class Arriving(Document):
    """An upload that is still to come, or on its way. `media` says what became of it.

    `pieces`: it comes to us, in one or in many (tus). `direct`: it goes to the object store, under `key`.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    owner: Id
    way: Literal["pieces", "direct"]
    key: str
    """What its file will be called; for `direct` also where the bytes are until they are checked."""
    folder: str
    content_type: str = ""
    length: int | None = None
    offset: int = 0
    pieces: list[Piece] = Field(default_factory=list[Piece])
    metadata: str = ""
    """What the client said of it (tus), given back as it came."""
    media: Id | None = None
    expires_at: datetime
    busy_until: datetime | None = None

    class Settings:
        name = "arriving"
        indexes: ClassVar = [
            IndexModel([("owner", ASCENDING), ("expires_at", ASCENDING)]),
            IndexModel([("key", ASCENDING)], unique=True),
            IndexModel([("expires_at", ASCENDING)]),
        ]

    async def add(self) -> None:
        await rows(type(self)).insert_one(self.model_dump(by_alias=True))

    @classmethod
    async def of(cls, owner: Id, **where: str) -> Self | None:
        """One of somebody's own that has not expired, by `_id` or by `key`."""
        found = await rows(cls).find_one({**where, "owner": owner, "expires_at": {"$gt": now()}})
        return cls.model_validate(found) if found else None

    @classmethod
    async def expected(cls, arriving: Id, expires_after: datetime) -> Self | None:
        """An announced upload whose bytes have not come, announced lately enough."""
        where: Raw = {"_id": arriving, "way": "direct", "offset": 0, "expires_at": {"$gt": expires_after}}
        found = await rows(cls).find_one(where)
        return cls.model_validate(found) if found else None

    @classmethod
    async def open_ones(cls, owner: Id) -> tuple[int, int]:
        """How many somebody has under way, and how many bytes those were announced to have."""
        under_way: Raw = {"owner": owner, "media": None, "expires_at": {"$gt": now()}}
        total: Raw = {"_id": None, "count": {"$sum": 1}, "bytes": {"$sum": "$length"}}
        found = await (await rows(cls).aggregate([{"$match": under_way}, {"$group": total}])).to_list()
        return (found[0]["count"], found[0]["bytes"]) if found else (0, 0)

    @classmethod
    async def append(cls, arriving: Id, piece: Piece, expires_at: datetime) -> int | None:
        """Add a piece where the last one ended; the new offset, or None when somebody else was first."""
        where: Raw = {"_id": arriving, "offset": piece.start, "media": None}
        change: Raw = {
            "$set": {"offset": piece.start + piece.size, "expires_at": expires_at},
            "$push": {"pieces": piece.model_dump()},
        }
        found = await rows(cls).find_one_and_update(where, change, return_document=ReturnDocument.AFTER)
        return found["offset"] if found else None

    @classmethod
    async def seize(cls, arriving: Id, until: datetime) -> bool:
        """Become the one who finishes it; False while somebody else is at it."""
        free: list[Raw] = [{"busy_until": None}, {"busy_until": {"$lt": now()}}]
        where: Raw = {"_id": arriving, "media": None, "$or": free}
        result = await rows(cls).update_one(where, {"$set": {"busy_until": until}})
        return result.modified_count == 1

    @classmethod
    async def release(cls, arriving: Id, media: Id | None = None) -> None:
        """It is finished, or somebody may try again."""
        change: dict[str, Any] = {"busy_until": None, **({"media": media} if media else {})}
        await rows(cls).update_one({"_id": arriving}, {"$set": change})

    @classmethod
    async def drop(cls, arriving: Id, owner: Id) -> Self | None:
        """Give it up; what was there of it."""
        found = await rows(cls).find_one_and_delete({"_id": arriving, "owner": owner})
        return cls.model_validate(found) if found else None

    @classmethod
    async def expired(cls, limit: int) -> list[Self]:
        where = {"expires_at": {"$lt": now()}}
        return [cls.model_validate(raw) for raw in await rows(cls).find(where).limit(limit).to_list()]

    @classmethod
    async def of_person(cls, owner: Id) -> list[Self]:
        return [cls.model_validate(raw) for raw in await rows(cls).find({"owner": owner}).to_list()]
