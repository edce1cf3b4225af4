"""Uploads: what was made of each, where its bytes are, and what refers to it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

StorageType = Literal["mongodb", "disk", "s3"]
State = Literal["storing", "processing", "ready", "failed", "deleted"]
"""`storing`: its bytes are on their way. `processing`: they are safe, and a video is being cut.
`deleted`: nobody sees it any more, and its bytes are being removed."""
VISIBLE: tuple[State, ...] = ("ready", "processing")
MOST_REFS = 1000
"""So many things can show an upload: they are in its document, which is read whenever somebody looks."""


class MediaFile(BaseModel):
    """One file of an upload; `variant` is empty for the image or the video itself."""

    variant: str
    key: str
    storage_type: StorageType
    content_type: str
    extension: str
    size: int
    sha256: str
    width: int
    height: int


class Media(Document):
    """An upload. It is visible only once its bytes are safe, and until somebody deletes it.

    `refs` are what shows it to others (`avatar:<user>`, `message:<id>` …): with none it is its owner's alone,
    and swept after a while.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    owner: Id
    state: State = "storing"
    family: Literal["image", "video"]
    filename: str
    width: int = 0
    height: int = 0
    duration: float | None = None
    blurhash: str = ""
    animated: bool = False
    size: int = 0
    """What it takes of its owner's room: all its files."""
    files: list[MediaFile] = Field(default_factory=list[MediaFile])
    source: MediaFile | None = None
    """The upload as it came, while a video is being cut. Never served."""
    folder: str
    """What the keys of its files begin with."""
    refs: list[str] = Field(default_factory=list[str])
    uploaded_at: datetime = Field(default_factory=now)
    changed_at: datetime = Field(default_factory=now)
    leased_until: datetime | None = None
    attempts: int = 0
    mover: Id | None = None
    """Who moves its files to another storage, until `moving_until`."""
    moving_until: datetime | None = None

    class Settings:
        name = "media"
        indexes: ClassVar = [
            IndexModel([("owner", ASCENDING), ("uploaded_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("uploaded_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("refs", ASCENDING)]),
            IndexModel([("state", ASCENDING), ("changed_at", ASCENDING)]),
            IndexModel([("folder", ASCENDING)], unique=True),
            IndexModel([("files.key", ASCENDING)]),
        ]

    # -- coming in

    async def begin(self) -> None:
        """Note that bytes are on their way: what is found without them is swept."""
        await rows(type(self)).insert_one(self.model_dump(by_alias=True))

    @classmethod
    async def room_of(cls, owner: Id) -> tuple[int, int]:
        """How many bytes and how many uploads somebody has."""
        of_owner: Raw = {"owner": owner, "state": {"$in": ["storing", *VISIBLE]}}
        total: Raw = {"_id": None, "bytes": {"$sum": "$size"}, "count": {"$sum": 1}}
        found = await rows(cls).aggregate([{"$match": of_owner}, {"$group": total}])
        entries = await found.to_list()
        return (entries[0]["bytes"], entries[0]["count"]) if entries else (0, 0)

    @classmethod
    async def reserve(cls, media_id: Id, size: int) -> None:
        """Count these bytes as its owner's, before they are stored."""
        await rows(cls).update_one({"_id": media_id}, {"$set": {"size": size}})

    @classmethod
    async def settle(
        cls, media_id: Id, changes: Raw, *, of: Sequence[State], attempt: int | None = None
    ) -> Self | None:
        """Its bytes are safe: what it is from now on. None when it is not in one of these states any more.

        With `attempt` only for who works on it: whoever lost their lease changes nothing.
        """
        where: Raw = {"_id": media_id, "state": {"$in": list(of)}}
        if attempt is not None:
            where["attempts"] = attempt
        found = await rows(cls).find_one_and_update(
            where, {"$set": {**changes, "changed_at": now()}}, return_document=ReturnDocument.AFTER
        )
        return cls.model_validate(found) if found else None

    @classmethod
    async def claim(cls, seconds: float, most: int, media_id: Id | None = None) -> Self | None:
        """Take up a video that is to be cut, and that nobody is cutting; at most `most` times."""
        moment = now()
        free: list[Raw] = [{"leased_until": None}, {"leased_until": {"$lt": moment}}]
        where: Raw = {"state": "processing", "attempts": {"$lt": most}, "$or": free}
        if media_id is not None:
            where["_id"] = media_id
        found = await rows(cls).find_one_and_update(
            where,
            {"$set": {"leased_until": moment + timedelta(seconds=seconds)}, "$inc": {"attempts": 1}},
            sort=[("changed_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(found) if found else None

    @classmethod
    async def renew(cls, media_id: Id, attempt: int, seconds: float) -> bool:
        """Go on with it; False for who has lost it."""
        result = await rows(cls).update_one(
            {"_id": media_id, "state": "processing", "attempts": attempt},
            {"$set": {"leased_until": now() + timedelta(seconds=seconds)}},
        )
        return result.matched_count == 1

    @classmethod
    async def exhausted(cls, most: int) -> list[Self]:
        """Videos that so many have tried to cut in vain."""
        where = {"state": "processing", "attempts": {"$gte": most}, "leased_until": {"$lt": now()}}
        return [cls.model_validate(raw) for raw in await rows(cls).find(where).limit(100).to_list()]

    # -- being found

    @classmethod
    async def visible(cls, media_id: Id) -> Self | None:
        """An upload whose bytes are safe."""
        found = await rows(cls).find_one({"_id": media_id, "state": {"$in": list(VISIBLE)}})
        return cls.model_validate(found) if found else None

    @classmethod
    async def page(
        cls,
        owner: Id | None,
        limit: int,
        before: tuple[datetime, Id] | None = None,
        skip: int = 0,
    ) -> list[Self]:
        """Somebody's uploads, or everybody's, newest first."""
        where: Raw = {"state": {"$in": list(VISIBLE)}, **({"owner": owner} if owner else {})}
        if before is not None:
            moment, last = before
            where["$or"] = [
                {"uploaded_at": {"$lt": moment}},
                {"uploaded_at": moment, "_id": {"$lt": last}},
            ]
        order = [("uploaded_at", DESCENDING), ("_id", DESCENDING)]
        found = rows(cls).find(where).sort(order).skip(skip).limit(limit)
        return [cls.model_validate(raw) for raw in await found.to_list()]

    @classmethod
    async def count_of(cls, owner: Id | None) -> int:
        where: Raw = {"state": {"$in": list(VISIBLE)}, **({"owner": owner} if owner else {})}
        return await rows(cls).count_documents(where)

    @classmethod
    async def with_key(cls, key: str) -> Self | None:
        """The visible upload that has a file under that key."""
        found = await rows(cls).find_one({"files.key": key, "state": {"$in": list(VISIBLE)}})
        return cls.model_validate(found) if found else None

    @classmethod
    async def file_of(cls, key: str) -> MediaFile | None:
        """The file under that key, where it is now."""
        media = await cls.with_key(key)
        return next((file for file in media.files if file.key == key), None) if media is not None else None

    @classmethod
    async def many(cls, ids: Iterable[Id]) -> dict[Id, Self]:
        """Those of these uploads that are visible."""
        found = rows(cls).find({"_id": {"$in": list(ids)}, "state": {"$in": list(VISIBLE)}})
        return {raw["_id"]: cls.model_validate(raw) for raw in await found.to_list()}

    # -- being referred to

    @classmethod
    async def attach(cls, media_id: Id, owner: Id, ref: str) -> Self | None:
        """Let something refer to one's own upload; None when there is none of theirs, or no room for more."""
        room: list[Raw] = [{"refs": ref}, {f"refs.{MOST_REFS - 1}": {"$exists": False}}]
        found = await rows(cls).find_one_and_update(
            {"_id": media_id, "owner": owner, "state": {"$in": list(VISIBLE)}, "$or": room},
            {"$addToSet": {"refs": ref}, "$set": {"changed_at": now()}},
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(found) if found else None

    @classmethod
    async def detach(cls, ref: str, *, but: Iterable[Id] = ()) -> None:
        """Something does not refer to any upload any more, or to none but these."""
        await rows(cls).update_many(
            {"refs": ref, "_id": {"$nin": list(but)}}, {"$pull": {"refs": ref}, "$set": {"changed_at": now()}}
        )

    # -- going

    @classmethod
    async def delete_own(
        cls, media_id: Id, owner: Id | None, session: AsyncClientSession | None = None
    ) -> Self | None:
        """Nobody sees it from now on; exactly one caller gets it, to remove its bytes."""
        where: Raw = {"_id": media_id, "state": {"$in": [*VISIBLE, "failed"]}}
        if owner is not None:
            where["owner"] = owner
        gone: Raw = {"$set": {"state": "deleted", "changed_at": now()}}
        found = await rows(cls).find_one_and_update(
            where, gone, return_document=ReturnDocument.AFTER, session=session
        )
        return cls.model_validate(found) if found else None

    @classmethod
    async def delete_unused(cls, media_id: Id, owner: Id) -> Self | None:
        """The same, if nothing refers to it."""
        found = await rows(cls).find_one_and_update(
            {"_id": media_id, "owner": owner, "refs": [], "state": {"$in": list(VISIBLE)}},
            {"$set": {"state": "deleted", "changed_at": now()}},
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(found) if found else None

    @classmethod
    async def erase_all(cls, owner: Id) -> list[Self]:
        """Nobody sees anything of somebody's from now on; what is to be removed."""
        gone = {"state": "deleted", "changed_at": now()}
        await rows(cls).update_many({"owner": owner, "state": {"$ne": "deleted"}}, {"$set": gone})
        return [cls.model_validate(raw) for raw in await rows(cls).find({"owner": owner}).to_list()]

    @classmethod
    async def abandon(cls, before: datetime, unused_before: datetime, limit: int) -> list[Self]:
        """Mark what is to go, and return what is: uploads that broke off or failed, and unused ones."""
        unused: Raw = {"state": {"$in": list(VISIBLE)}, "refs": [], "changed_at": {"$lt": unused_before}}
        stale: list[Raw] = [
            {"state": {"$in": ["storing", "failed"]}, "changed_at": {"$lt": before}},
            {**unused, "leased_until": None},
        ]
        gone = {"$set": {"state": "deleted", "changed_at": now()}}
        for (
            which
        ) in stale:  # a reference that comes meanwhile keeps its upload: the condition is in the write
            await rows(cls).update_many(which, gone)
        found = rows(cls).find({"state": "deleted"}).limit(limit)
        return [cls.model_validate(raw) for raw in await found.to_list()]

    @classmethod
    async def forget(cls, media_id: Id) -> None:
        """Its bytes are gone."""
        await rows(cls).delete_one({"_id": media_id, "state": "deleted"})

    # -- being compared with the storage

    @classmethod
    async def with_folders(cls, folders: Sequence[str]) -> dict[str, Self]:
        """The uploads that have these folders."""
        found = rows(cls).find({"folder": {"$in": list(folders)}})
        return {raw["folder"]: cls.model_validate(raw) for raw in await found.to_list()}

    @classmethod
    async def everything(cls, after: Id, limit: int, where: dict[str, Any] | None = None) -> list[Self]:
        """All uploads by id."""
        found = rows(cls).find({**(where or {}), "_id": {"$gt": after}}).sort("_id", ASCENDING).limit(limit)
        return [cls.model_validate(raw) for raw in await found.to_list()]
