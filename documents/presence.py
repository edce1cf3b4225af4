"""What stays of presence when nobody is connected: when a person was last seen, and whether they hide."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from common.ids import Id
from documents.rows import rows
from documents.streams import DUPLICATE


class Presence(Document):
    """One person's. While `hidden_since` is set, nothing moves `last_seen`."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    last_seen: datetime | None = None
    hidden_since: datetime | None = None

    class Settings:
        name = "presence"
        indexes: ClassVar = []

    @classmethod
    async def of(cls, users: Sequence[Id]) -> "dict[Id, Presence]":
        found = await cls.find({"_id": {"$in": list(users)}}).to_list()
        return {presence.id: presence for presence in found}

    @classmethod
    async def hide(cls, user: Id, at: datetime) -> bool:
        """Begin to hide; False when that was so before."""
        change = {"$set": {"hidden_since": at}, "$max": {"last_seen": at}}
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
    async def saw(cls, users: Mapping[Id, datetime]) -> None:
        """Move `last_seen` forward for those who do not hide."""
        if not users:
            return
        changes = [
            UpdateOne({"_id": user, "hidden_since": None}, {"$max": {"last_seen": at}}, upsert=True)
            for user, at in users.items()
        ]
        try:
            await rows(cls).bulk_write(changes, ordered=False)
        except BulkWriteError as error:  # who hides is not matched, and is there already
            refused = (error.details or {}).get("writeErrors", ())
            if any(item.get("code") != DUPLICATE for item in refused):
                raise


DOCUMENTS: list[type[Document]] = [Presence]
