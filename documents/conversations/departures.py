"""Who left which conversation, until everyone has been told."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Self

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id
from documents.rows import rows

KEEP_SECONDS = 24 * 3600


class Departure(Document):
    """A place that was given up; `id` is the place's. Kept for a day, so that a retry finds it was done."""

    id: Id  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    conversation: Id
    user: Id
    version: int
    heir: Id | None = None
    """Who became the owner by it."""
    at: datetime = Field(default_factory=now)
    told: bool = False

    class Settings:
        name = "departures"
        indexes: ClassVar = [
            IndexModel([("conversation", ASCENDING), ("user", ASCENDING), ("at", DESCENDING)]),
            IndexModel(
                [("told", ASCENDING), ("at", ASCENDING)],
                name="untold",
                partialFilterExpression={"told": False},
            ),
            IndexModel(
                [("at", ASCENDING)],
                name="told_long_ago",
                expireAfterSeconds=KEEP_SECONDS,
                partialFilterExpression={"told": True},
            ),
        ]

    @classmethod
    async def record(cls, departure: "Departure", session: AsyncClientSession) -> None:
        """Insert it in the transaction that removes the place."""
        fields = departure.model_dump(exclude={"id", "revision_id"})
        await rows(cls).insert_one({"_id": departure.id, **fields}, session=session)

    @classmethod
    async def last_of(cls, conversation: Id, user: Id) -> Self | None:
        """A person's latest departure from a conversation, if it was not long ago."""
        return await cls.find({"conversation": conversation, "user": user}).sort("-at").first_or_none()

    @classmethod
    async def from_places(cls, places: Sequence[Id]) -> list[Self]:
        """Those of these places (ids of members) that were given up lately."""
        return await cls.find({"_id": {"$in": list(places)}}).to_list()

    @classmethod
    async def untold(cls, before: datetime, limit: int) -> list[Self]:
        """The oldest of those that not everyone has been told of."""
        found = cls.find({"told": False, "at": {"$lt": before}}).sort("+at").limit(limit)
        return await found.to_list()

    @classmethod
    async def mark_told(cls, departure: Id) -> None:
        await rows(cls).update_one({"_id": departure}, {"$set": {"told": True}})
