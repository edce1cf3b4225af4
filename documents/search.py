"""What search keeps of messages: the grams of each, and how far every conversation has been read for them.

It is written behind the messages and may be late or say too much; what is found is looked for again in the
message itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from common.clock import now
from common.ids import Id
from documents.rows import Raw, rows
from documents.streams import DUPLICATE

Mark = tuple[datetime, Id]
"""Where a list goes on: the time and the id of the last message looked at."""

_SWEEP = "messages"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may hold what is looked for; `fits` if it has all the grams."""

    id: Id
    conversation: Id
    at: datetime
    fits: bool


class MessageWords(Document):
    """The grams of a message, `rev` the one they were taken from."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    conversation: Id
    sender: Id
    at: datetime
    rev: int
    grams: list[str]

    class Settings:
        name = "message_words"
        indexes: ClassVar = [
            IndexModel(
                [
                    ("conversation", ASCENDING),
                    ("grams", ASCENDING),
                    ("at", DESCENDING),
                    ("_id", DESCENDING),
                ]
            ),
            IndexModel([("sender", ASCENDING)]),
        ]

    @classmethod
    async def add(cls, words: Sequence["MessageWords"]) -> None:
        """Store those that are not there."""
        try:
            await rows(cls).insert_many([one.stored() for one in words], ordered=False)
        except BulkWriteError as error:
            details: Mapping[str, Any] = error.details or {}
            refused: Sequence[Raw] = details.get("writeErrors") or [{}]
            if details.get("writeConcernErrors") or any(one.get("code") != DUPLICATE for one in refused):
                raise

    @classmethod
    async def widen(cls, words: "MessageWords") -> None:
        """Add grams to those of a message, which is about to be changed."""
        fresh = {**words.stored(), "rev": -1}
        which, grams = {"_id": fresh.pop("_id")}, fresh.pop("grams")
        change = {"$addToSet": {"grams": {"$each": grams}}, "$setOnInsert": fresh}
        await rows(cls).update_one(which, change, upsert=True)

    @classmethod
    async def settle(cls, words: "MessageWords") -> None:
        """Keep exactly these grams, unless those of a later change are kept already."""
        change = {"$set": {"grams": words.grams, "rev": words.rev}}
        await rows(cls).update_one({"_id": words.id, "rev": {"$lte": words.rev}}, change)

    @classmethod
    async def remove(cls, ids: Collection[Id]) -> None:
        await rows(cls).delete_many({"_id": {"$in": list(ids)}})

    @classmethod
    async def candidates(
        cls, conversations: Sequence[Id], grams: Sequence[str], before: Mark | None, most: int
    ) -> list[Candidate]:
        """The newest messages with the first of the grams, and which of them have the others, too."""
        first, *others = grams
        where: Raw = {"conversation": {"$in": list(conversations)}, "grams": first}
        if before is not None:
            at, last = before
            where |= {"at": {"$lte": at}, "$or": [{"at": {"$lt": at}}, {"_id": {"$lt": last}}]}
        shown: Raw = {"conversation": 1, "at": 1}
        if others:  # else the index alone tells
            shown["fits"] = {"$setIsSubset": [others, "$grams"]}
        found = await rows(cls).aggregate(
            [{"$match": where}, {"$sort": {"at": -1, "_id": -1}}, {"$limit": most}, {"$project": shown}]
        )
        return [
            Candidate(raw["_id"], raw["conversation"], raw["at"], raw.get("fits", True))
            for raw in await found.to_list()
        ]

    @classmethod
    async def counts(cls, conversations: Sequence[Id], grams: Sequence[str], most: int) -> dict[str, int]:
        """How many messages have each gram, counting up to `most`."""
        first, *others = (_counting(conversations, gram, most) for gram in grams)
        beside = [{"$unionWith": {"coll": rows(cls).name, "pipeline": pipeline}} for pipeline in others]
        found = await rows(cls).aggregate([*first, *beside])
        counted = {entry["gram"]: entry["count"] for entry in await found.to_list()}
        return {gram: counted.get(gram, 0) for gram in grams}

    def stored(self) -> Raw:
        """These words as they are stored."""
        return self.model_dump(by_alias=True, exclude={"revision_id"})


class WordsRead(Document):
    """The words of a conversation's messages are stored up to `seq`; `id` is the conversation's."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    seq: int

    class Settings:
        name = "words_read"

    @classmethod
    async def positions(cls, conversations: Collection[Id]) -> dict[Id, int]:
        """How far each conversation has been read; 0 for those that nobody has begun to read."""
        found = rows(cls).find({"_id": {"$in": list(conversations)}})
        known = {raw["_id"]: raw["seq"] for raw in await found.to_list()}
        return {conversation: known.get(conversation, 0) for conversation in conversations}

    @classmethod
    async def advance(cls, positions: Mapping[Id, int]) -> None:
        """Move positions forward; they never go back."""
        if not positions:
            return
        moves = [UpdateOne({"_id": one}, {"$max": {"seq": to}}, upsert=True) for one, to in positions.items()]
        try:
            await rows(cls).bulk_write(moves, ordered=False)
        except BulkWriteError:  # two nodes began the same conversation: it is done again
            await rows(cls).bulk_write(moves, ordered=False)


class WordsSweep(Document):
    """The words of all messages that were stored before `done_to` are there. One node at a time looks."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    done_to: datetime
    next_at: datetime

    class Settings:
        name = "words_sweeps"

    @classmethod
    async def claim(cls, pause: timedelta) -> datetime | None:
        """Up to when nothing is missing, for the node whose turn it is to look; None for all others."""
        at = now()
        never = datetime.fromtimestamp(0, at.tzinfo)
        try:
            await rows(cls).insert_one({"_id": _SWEEP, "done_to": never, "next_at": at + pause})
        except DuplicateKeyError:
            due = {"_id": _SWEEP, "next_at": {"$lte": at}}
            found = await rows(cls).find_one_and_update(due, {"$set": {"next_at": at + pause}})
            return found["done_to"] if found else None
        return never

    @classmethod
    async def done(cls, to: datetime) -> None:
        """Nothing that was stored before `to` is missing."""
        await rows(cls).update_one({"_id": _SWEEP}, {"$max": {"done_to": to}})


def _counting(conversations: Sequence[Id], gram: str, most: int) -> list[Raw]:
    return [
        {"$match": {"conversation": {"$in": list(conversations)}, "grams": gram}},
        {"$limit": most},
        {"$count": "count"},
        {"$set": {"gram": {"$literal": gram}}},
    ]


DOCUMENTS: list[type[Document]] = [MessageWords, WordsRead, WordsSweep]
