"""Conversations themselves: their kind, name and version, and when they were last active."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, derived_id, new_id
from documents.conversations.members import Member, reading
from documents.rows import Raw, rows

Kind = Literal["direct", "group"]


class Conversation(Document):
    """A conversation. `last_at` orders lists and is written a moment after a message; the messages decide.

    `version` grows with every change of the name, the members or a role, in the same atomic step. Changes of
    one conversation therefore never interleave, not even those of several nodes.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    kind: Kind
    name: str | None = None
    version: int = 1
    pair: list[Id] = Field(default_factory=list[str])
    gone: list[Id] = Field(default_factory=list[str])
    """What stands for those of the pair whose accounts have been deleted."""
    member_count: int = 0
    created_by: Id
    created_at: datetime = Field(default_factory=now)
    is_begun: bool = True
    last_at: datetime = Field(default_factory=now)

    class Settings:
        name = "conversations"
        indexes: ClassVar = [IndexModel([("created_by", ASCENDING)]), IndexModel([("last_at", DESCENDING)])]

    # -- direct conversations

    @staticmethod
    def direct_id(one: Id, other: Id) -> Id:
        """The id of the direct conversation of two people, known without looking."""
        return derived_id("direct", *sorted((one, other)))

    @classmethod
    async def open_direct(cls, one: Id, other: Id) -> None:
        """Make the direct conversation of two people unless it is there; safe to repeat and to race."""
        conversation = cls.direct_id(one, other)
        await rows(Member).bulk_write(
            [Member.upsert(conversation, user, "member") for user in (one, other)], ordered=False
        )
        fresh = cls(
            id=conversation,
            kind="direct",
            pair=sorted((one, other)),
            member_count=2,
            created_by=one,
            is_begun=False,
        )
        fields = fresh.model_dump(exclude={"id", "revision_id"})
        await rows(cls).update_one({"_id": conversation}, {"$setOnInsert": fields}, upsert=True)

    @classmethod
    async def outline(cls, conversation: Id) -> tuple[list[Id], bool] | None:
        """The two people of a direct conversation (nobody for a group), and whether it has begun."""
        found = await rows(cls).find_one({"_id": conversation}, {"pair": 1, "is_begun": 1})
        return (found["pair"], found["is_begun"]) if found else None

    @classmethod
    async def begin(cls, conversation: Id) -> None:
        """From its first message on, a direct conversation stands in both lists."""
        begun = {"$set": {"is_begun": True}, "$max": {"last_at": now()}}
        await rows(cls).update_one({"_id": conversation, "is_begun": False}, begun)

    # -- groups: what changes them says which version came of it

    @staticmethod
    def group_id(founder: Id, client_id: str) -> Id:
        """The id of the group that a person founds with this `client_id`, however often they ask."""
        return derived_id("group", founder, client_id)

    @classmethod
    async def found(
        cls, group: "Conversation", members: Sequence[Member], session: AsyncClientSession
    ) -> bool:
        """Insert a group with its members; False when it is there (the transaction is then over)."""
        try:
            fields = group.model_dump(exclude={"id", "revision_id"})
            await rows(cls).insert_one({"_id": group.id, **fields}, session=session)
        except DuplicateKeyError:
            return False
        await rows(Member).insert_many([member.stored() for member in members], session=session)
        return True

    @classmethod
    async def rename(cls, group: Id, name: str) -> int | None:
        """Rename a group; its new version, or None when there is no such group."""
        return await cls._advance({"_id": group}, {"$set": {"name": name}})

    @classmethod
    async def advance(cls, group: Id, session: AsyncClientSession) -> int | None:
        """Begin a change of roles; the version it makes, or None when there is no such group."""
        return await cls._advance({"_id": group}, {}, session)

    @classmethod
    async def take_place(cls, group: Id, most: int, session: AsyncClientSession) -> int | None:
        """Count one more member; the version that makes, or None when there is no room."""
        return await cls._advance({"_id": group, "member_count": {"$lt": most}}, {}, session, members=1)

    @classmethod
    async def free_place(cls, group: Id, session: AsyncClientSession) -> int | None:
        """Count one member less; the version that makes, or None when there is no such group."""
        return await cls._advance({"_id": group}, {}, session, members=-1)

    @classmethod
    async def _advance(
        cls, which: Raw, change: Raw, session: AsyncClientSession | None = None, *, members: int = 0
    ) -> int | None:
        found: dict[str, Any] | None = await rows(cls).find_one_and_update(
            {"kind": "group", **which},
            {**change, "$inc": {"version": 1, "member_count": members}},
            {"version": 1},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return found["version"] if found else None

    # -- activity

    @classmethod
    async def active_since(cls, moment: datetime, limit: int) -> list[Id]:
        """Those with a message since then, the newest first."""
        found = rows(cls).find({"last_at": {"$gte": moment}}, {"_id": 1}).sort("last_at", DESCENDING)
        return [raw["_id"] for raw in await found.limit(limit).to_list()]

    @classmethod
    async def touch(cls, heads: Iterable["Head"]) -> None:
        """Record when conversations were last active, and that senders have read up to their own messages."""
        heads = list(heads)
        active = [UpdateOne({"_id": head.conversation}, {"$max": {"last_at": head.at}}) for head in heads]
        read = [
            UpdateOne(*reading(head.conversation, user, seq, head.at))
            for head in heads
            for user, seq in head.senders.items()
        ]
        await rows(cls).bulk_write(active, ordered=False)
        await rows(Member).bulk_write(read, ordered=False)

    @classmethod
    async def heads(cls, conversations: Sequence[Id]) -> dict[Id, int]:
        """The last seq of each conversation, from its messages."""
        found = await rows(cls).aggregate(
            [
                {"$match": {"_id": {"$in": list(conversations)}}},
                last_message("_id", "last"),
                {"$project": {"seq": "$last.seq"}},
            ]
        )
        return {entry["_id"]: entry["seq"][0] if entry["seq"] else 0 for entry in await found.to_list()}


@dataclass(slots=True)
class Head:
    """The newest message of a conversation, and the last one of each sender."""

    conversation: Id
    seq: int
    at: datetime
    senders: dict[Id, int]


def last_message(conversation: str, name: str, where: Raw | None = None) -> Raw:
    """A step that looks up the newest message of the conversation in field `conversation`."""
    pipeline = [{"$match": where or {}}, {"$sort": {"seq": -1}}, {"$limit": 1}]
    return {
        "$lookup": {
            "from": "messages",
            "localField": conversation,
            "foreignField": "conversation",
            "pipeline": pipeline,
            "as": name,
        }
    }
