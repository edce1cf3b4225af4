"""Who is suggested to whom: lists that are made now and then, and who is not to be suggested again."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Self

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from common.ids import Id
from documents.rows import rows

KEEP_SECONDS = 24 * 3600


class Suggested(BaseModel):
    """A person in a list. `counts`: what each source of reasons has counted."""

    id: Id
    points: float
    counts: dict[str, int] = Field(default_factory=dict[str, int])


class SuggestionList(Document):
    """Whom somebody (`id`) may want to know, best first, as it was `at` a time."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    at: datetime
    people: list[Suggested]

    class Settings:
        name = "suggestion_lists"
        indexes: ClassVar = [
            IndexModel([("at", ASCENDING)], expireAfterSeconds=KEEP_SECONDS),
            IndexModel([("people.id", ASCENDING)]),
        ]

    @classmethod
    async def of(cls, user: Id) -> Self | None:
        return await cls.find_one({"_id": user})

    @classmethod
    async def keep(cls, user: Id, at: datetime, people: Sequence[Suggested]) -> Self:
        """Keep a list in the place of the one before."""
        made = cls(id=user, at=at, people=list(people))
        fields = made.model_dump(exclude={"id", "revision_id"})
        await rows(cls).replace_one({"_id": user}, fields, upsert=True)
        return made


class Dismissals(Document):
    """Whom somebody (`id`) does not want suggested; of too many the oldest are forgotten."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    people: list[Id]

    class Settings:
        name = "dismissed_suggestions"
        indexes: ClassVar = [IndexModel([("people", ASCENDING)])]

    @classmethod
    async def of(cls, user: Id) -> set[Id]:
        found = await rows(cls).find_one({"_id": user})
        return set(found["people"]) if found else set()

    @classmethod
    async def add(cls, user: Id, other: Id, most: int) -> None:
        """Dismiss somebody; saying it again changes nothing."""
        await rows(cls).update_one({"_id": user}, {"$setOnInsert": {"people": []}}, upsert=True)
        latest = {"people": {"$each": [other], "$slice": -most}}
        await rows(cls).update_one({"_id": user, "people": {"$ne": other}}, {"$push": latest})


DOCUMENTS: list[type[Document]] = [SuggestionList, Dismissals]
