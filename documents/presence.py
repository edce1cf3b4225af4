"""What stays of presence when nobody is connected: when a person was last seen, and whether they hide."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from beanie import Document
from pydantic import Field
from pymongo import InsertOne, UpdateMany
from pymongo.errors import BulkWriteError, DuplicateKeyError

from common.ids import Id
from documents.rows import Raw, rows
from documents.streams import DUPLICATE


class Kept(NamedTuple):
    """What stays of one person's presence."""

    last_seen: datetime | None
    hidden_since: datetime | None


class Presence(Document):
    """One person's. While `hidden_since` is set, nothing moves `last_seen`."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    last_seen: datetime | None = None
    hidden_since: datetime | None = None

    class Settings:
        name = "presence"
        indexes: ClassVar = []

    @classmethod
    async def of(cls, users: Sequence[Id]) -> dict[Id, Kept]:
        """What is kept of these people."""
        found = rows(cls).find({"_id": {"$in": list(users)}})
        return {
            raw["_id"]: Kept(raw.get("last_seen"), raw.get("hidden_since")) for raw in await found.to_list()
        }

    @classmethod
    async def hide(cls, user: Id, at: datetime, *, is_seen: bool) -> bool:
        """Begin to hide; False when that was so before. Who is seen just now was last seen then."""
        change: Raw = {"$set": {"hidden_since": at}}
        if is_seen:
            change["$max"] = {"last_seen": at}
        try:
            await rows(cls).update_one({"_id": user, "hidden_since": None}, change, upsert=True)
        except DuplicateKeyError:  # the one there is hides
            return False
        return True

    @classmethod
    async def show(cls, user: Id) -> datetime | None:
        """Stop hiding; since when it was so, to exactly one caller."""
        hidden = {"_id": user, "hidden_since": {"$ne": None}}
        before = await rows(cls).find_one_and_update(hidden, {"$set": {"hidden_since": None}})
        return before["hidden_since"] if before else None

    @classmethod
    async def saw(cls, users: Mapping[Id, datetime], known: Collection[Id] = ()) -> None:
        """Move `last_seen` forward for those who do not hide; `known` are those who have a row already."""
        times: dict[datetime, list[Id]] = {}
        for user, at in users.items():
            times.setdefault(at, []).append(user)
        changes: list[InsertOne[Raw] | UpdateMany] = [
            InsertOne({"_id": user, "last_seen": at, "hidden_since": None})
            for user, at in users.items()
            if user not in known
        ]
        changes += [
            UpdateMany({"_id": {"$in": some}, "hidden_since": None}, {"$max": {"last_seen": at}})
            for at, some in times.items()
        ]
        if not changes:
            return
        try:
            await rows(cls).bulk_write(changes, ordered=False)
        except BulkWriteError as error:  # who has a row meanwhile is updated
            refused = (error.details or {}).get("writeErrors", ())
            if any(item.get("code") != DUPLICATE for item in refused):
                raise


DOCUMENTS: list[type[Document]] = [Presence]
