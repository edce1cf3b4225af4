"""Messages: the entries of conversations' streams."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument

from common.clock import now
from common.ids import Id, new_id
from documents import streams
from documents.rows import Raw, rows
from documents.streams import Collision

EMPTY: Raw = {"text": "", "media_url": None, "media_type": None, "reactions": {}, "reactors": []}
"""What stays of the content of a message when it is deleted."""
_MEDIA = {"sender": 1, "media_url": 1}


@dataclass(frozen=True, slots=True)
class Text:
    """What somebody said, as search reads it."""

    id: Id
    conversation: Id
    sender: Id
    created_at: datetime
    rev: int
    text: str


class Message(Document):
    """One message. `body_hash` tells a retry from another message under the same client id.

    `reactors` are those who have reacted at some time, so that what somebody leaves behind is found.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    conversation: Id
    seq: int
    sender: Id
    to: Id | None = None
    client_id: str
    body_hash: str
    text: str = ""
    media_url: str | None = None
    media_type: str | None = None
    reply_to: Id | None = None
    reactions: dict[str, list[Id]] = Field(default_factory=dict[str, list[str]])
    reactors: list[Id] = Field(default_factory=list[str])
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    created_at: datetime = Field(default_factory=now)
    rev: int = 0

    class Settings:
        name = "messages"
        indexes: ClassVar = [
            IndexModel([("conversation", ASCENDING), ("seq", DESCENDING)], unique=True),
            IndexModel([("sender", ASCENDING), ("client_id", ASCENDING)], unique=True),
            IndexModel([("reactors", ASCENDING)], partialFilterExpression={"reactors": {"$gt": ""}}),
        ]

    @classmethod
    async def append(cls, entries: Sequence[Raw]) -> Collision | None:
        """Store entries in order; see `documents.streams`."""
        return await streams.append(rows(cls), entries, "seq")

    @classmethod
    async def head(cls, conversation: Id) -> int:
        """The last `seq` of a conversation."""
        return await streams.head(rows(cls), "conversation", conversation, "seq")

    @classmethod
    async def known(cls, pairs: Sequence[tuple[Id, str]]) -> list[tuple[Id, str]]:
        """Those (sender, client id) pairs under which a message is stored."""
        where = {"$or": [{"sender": sender, "client_id": client_id} for sender, client_id in pairs]}
        found = rows(cls).find(where, {"sender": 1, "client_id": 1, "_id": 0})
        return [(entry["sender"], entry["client_id"]) async for entry in found]

    @classmethod
    async def of_client(cls, sender: Id, client_id: str) -> Self | None:
        return await cls.find_one({"sender": sender, "client_id": client_id})

    @classmethod
    async def after(cls, conversation: Id, seq: int, limit: int) -> list[Self]:
        """The next messages behind `seq`, in order."""
        where = {"conversation": conversation, "seq": {"$gt": seq}}
        return await cls.find(where).sort("+seq").limit(limit).to_list()

    @classmethod
    async def before(cls, conversation: Id, seq: int | None, limit: int) -> list[Self]:
        """The last messages in front of `seq` (or of all), newest first."""
        where: Raw = {"conversation": conversation}
        if seq is not None:
            where["seq"] = {"$lt": seq}
        return await cls.find(where).sort("-seq").limit(limit).to_list()

    @classmethod
    async def of_ids(cls, ids: Sequence[Id]) -> list[Self]:
        return await cls.find({"_id": {"$in": list(ids)}}).to_list()

    @classmethod
    async def standing_in(cls, ids: Sequence[Id]) -> list[Id]:
        """The conversations in which those of these messages are that were not deleted."""
        return await rows(cls).distinct("conversation", {"_id": {"$in": list(ids)}, "deleted_at": None})

    @classmethod
    async def media_of(cls, ids: Sequence[Id]) -> list[tuple[Id, Id, str | None]]:
        """Messages, who sent them, and the address of what each shows."""
        return _media_in(await rows(cls).find({"_id": {"$in": list(ids)}}, _MEDIA).to_list())

    @classmethod
    async def media_after(cls, last: Id, limit: int) -> list[tuple[Id, Id, str | None]]:
        """The same of all messages, a part at a time, whether they show anything or not."""
        found = rows(cls).find({"_id": {"$gt": last}}, _MEDIA).sort("_id", ASCENDING).limit(limit)
        return _media_in(await found.to_list())

    @classmethod
    async def texts(cls, ranges: Mapping[Id, tuple[int, int]]) -> list["Text"]:
        """What was said in conversations behind one `seq` up to another."""
        parts = [
            {"conversation": key, "seq": {"$gt": first, "$lte": last}}
            for key, (first, last) in ranges.items()
        ]
        shown = dict.fromkeys(("conversation", "sender", "created_at", "rev", "text"), 1)
        found = await rows(cls).find({"$or": parts}, shown).to_list()
        fields = ("_id", *shown)
        return [Text(*(raw.get(name, 0) for name in fields)) for raw in found]

    @classmethod
    async def heads_since(cls, since: datetime, at_once: int) -> AsyncGenerator[dict[Id, int], None]:
        """The last `seq` of conversations in which something was stored since then, some at a time.

        Read in the order in which they were stored, the last ones first, until a whole part is older: that
        needs no index.
        """
        shown = {"_id": 0, "conversation": 1, "seq": 1, "created_at": 1}
        stored = rows(cls).find({}, shown).sort([("$natural", DESCENDING)]).batch_size(at_once)
        heads: dict[Id, int] = {}
        read, is_recent = 0, False
        async with stored:
            async for entry in stored:
                key = entry["conversation"]
                heads[key] = max(heads.get(key, 0), entry["seq"])
                is_recent = is_recent or entry["created_at"] >= since
                read += 1
                if read % at_once == 0:
                    yield heads
                    if not is_recent:
                        return
                    heads, is_recent = {}, False
        if heads:
            yield heads

    @classmethod
    async def change(cls, message_id: Id, where: Raw, change: Raw) -> Self | None:
        """Apply `change` and raise `rev` if the message still fits `where`; the message after it."""
        raw = await rows(cls).find_one_and_update(
            {"_id": message_id, **where},
            {**change, "$inc": {"rev": 1}},
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def edit(cls, message_id: Id, sender: Id, text: str, seen: datetime | None) -> Self | None:
        """Replace the text if nobody edited it since `seen`."""
        where = {"sender": sender, "deleted_at": None, "edited_at": seen}
        return await cls.change(message_id, where, {"$set": {"text": text, "edited_at": now()}})

    @classmethod
    async def erase(cls, message_id: Id) -> Self | None:
        """Take the content out and leave the place; None when it is erased already."""
        gone = {**EMPTY, "deleted_at": now()}
        return await cls.change(message_id, {"deleted_at": None}, {"$set": gone})

    @classmethod
    async def react(cls, message_id: Id, user: Id, emoji: str, most: int) -> Self | None:
        """Add a reaction; None when it stands already, the message is gone, or it has `most` kinds."""
        room = {"$or": [{f"reactions.{emoji}.0": {"$exists": True}}, {"$expr": _fewer_reactions(most)}]}
        where = {"deleted_at": None, f"reactions.{emoji}": {"$ne": user}, **room}
        added = {"$push": {f"reactions.{emoji}": user}, "$addToSet": {"reactors": user}}
        return await cls.change(message_id, where, added)

    @classmethod
    async def unreact(cls, message_id: Id, user: Id, emoji: str) -> Self | None:
        """Take a reaction back; None when there is none."""
        field = f"reactions.{emoji}"
        return await cls.change(message_id, {field: user}, {"$pull": {field: user}})


def _media_in(found: Sequence[Raw]) -> list[tuple[Id, Id, str | None]]:
    return [(raw["_id"], raw["sender"], raw.get("media_url")) for raw in found]


def _fewer_reactions(most: int) -> Raw:
    """Kinds that nobody uses any more do not count."""
    kinds = {
        "$filter": {"input": {"$objectToArray": "$reactions"}, "cond": {"$gt": [{"$size": "$$this.v"}, 0]}}
    }
    return {"$lt": [{"$size": kinds}, most]}


DOCUMENTS: list[type[Document]] = [Message]
