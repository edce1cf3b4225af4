"""Conversations, and the places people have in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, Self

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, derived_id, new_id
from documents.rows import Raw, rows

Role = Literal["owner", "admin", "member"]
Kind = Literal["direct", "group"]

MAX_MARKS = 50


class Conversation(Document):
    """A conversation. `last_at` orders lists and is written a moment after a message; the messages decide."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    kind: Kind
    name: str | None = None
    pair: list[Id] = Field(default_factory=list[str])
    member_count: int = 0
    created_by: Id
    created_at: datetime = Field(default_factory=now)
    is_begun: bool = True
    last_at: datetime = Field(default_factory=now)

    class Settings:
        name = "conversations"

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
    async def begin(cls, conversation: Id) -> None:
        """From its first message on, a direct conversation stands in both lists."""
        begun = {"$set": {"is_begun": True}, "$max": {"last_at": now()}}
        await rows(cls).update_one({"_id": conversation, "is_begun": False}, begun)

    @classmethod
    async def touch(cls, heads: Iterable["Head"]) -> None:
        """Record when conversations were last active, and that senders have read up to their own messages."""
        heads = list(heads)
        active = [UpdateOne({"_id": head.conversation}, {"$max": {"last_at": head.at}}) for head in heads]
        read = [
            UpdateOne(*_reading(head.conversation, user, seq, head.at))
            for head in heads
            for user, seq in head.senders.items()
        ]
        await rows(cls).bulk_write(active, ordered=False)
        await rows(Member).bulk_write(read, ordered=False)

    @classmethod
    async def take_place(cls, conversation: Id, most: int, session: AsyncClientSession) -> bool:
        """Count one more member if there is room."""
        result = await rows(cls).update_one(
            {"_id": conversation, "kind": "group", "member_count": {"$lt": most}},
            {"$inc": {"member_count": 1}},
            session=session,
        )
        return result.matched_count == 1

    @classmethod
    async def rename(cls, conversation: Id, name: str) -> None:
        await rows(cls).update_one({"_id": conversation}, {"$set": {"name": name}})

    @classmethod
    async def create_group(cls, group: "Conversation", members: "Sequence[Member]") -> None:
        """Insert a group; its members first, so that it is complete when it can be found."""
        places = [{"_id": m.id, **m.model_dump(exclude={"id", "revision_id"})} for m in members]
        await rows(Member).insert_many(places)
        await rows(cls).insert_one({"_id": group.id, **group.model_dump(exclude={"id", "revision_id"})})

    @classmethod
    async def free_place(cls, conversation: Id, session: AsyncClientSession) -> None:
        await rows(cls).update_one({"_id": conversation}, {"$inc": {"member_count": -1}}, session=session)

    @classmethod
    async def heads(cls, conversations: Sequence[Id]) -> dict[Id, int]:
        """The last seq of each conversation, from its messages."""
        found = await rows(cls).aggregate(
            [{"$match": {"_id": {"$in": list(conversations)}}}, _LAST, {"$project": {"seq": "$last.seq"}}]
        )
        return {entry["_id"]: _first(entry["seq"]) async for entry in found}


@dataclass(slots=True)
class Head:
    """The newest message of a conversation, and the last one of each sender."""

    conversation: Id
    seq: int
    at: datetime
    senders: dict[Id, int]


def _last_message(conversation: str, name: str, where: Raw | None = None) -> Raw:
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


_LAST: Raw = _last_message("_id", "last")


def _reading(conversation: Id, user: Id, seq: int, at: datetime) -> tuple[Raw, Raw]:
    """Which place has not read up to `seq`, and what makes it so."""
    where = {"conversation": conversation, "user": user, "read_seq": {"$lt": seq}}
    return where, {"$set": {"read_seq": seq, "read_at": at}, "$max": {"delivered_seq": seq}}


def _first(values: list[int]) -> int:
    return values[0] if values else 0


class Mark(BaseModel):
    """Up to `seq` was read `at` that time."""

    seq: int
    at: datetime


class Member(Document):
    """One person's place in a conversation: role and positions."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    conversation: Id
    user: Id
    role: Role = "member"
    read_seq: int = 0
    read_at: datetime | None = None
    delivered_seq: int = 0
    marks: list[Mark] = Field(default_factory=list[Mark])
    muted: bool = False
    joined_at: datetime = Field(default_factory=now)

    class Settings:
        name = "members"
        indexes: ClassVar = [
            IndexModel([("conversation", ASCENDING), ("user", ASCENDING)], unique=True),
            IndexModel([("conversation", ASCENDING), ("joined_at", ASCENDING), ("user", ASCENDING)]),
            IndexModel([("user", ASCENDING)]),
        ]

    @classmethod
    def upsert(cls, conversation: Id, user: Id, role: Role) -> UpdateOne:
        fresh = cls(conversation=conversation, user=user, role=role)
        fields = fresh.model_dump(exclude={"id", "revision_id", "conversation", "user"})
        who = {"conversation": conversation, "user": user}
        return UpdateOne(who, {"$setOnInsert": {"_id": new_id(), **fields}}, upsert=True)

    @classmethod
    async def of(cls, conversation: Id, user: Id) -> Self | None:
        return await cls.find_one({"conversation": conversation, "user": user})

    @classmethod
    async def among(cls, user: Id, conversations: Sequence[Id]) -> list[Id]:
        """Those of `conversations` in which this person has a place."""
        where = {"user": user, "conversation": {"$in": list(conversations)}}
        found = rows(cls).find(where, {"conversation": 1, "_id": 0})
        return [entry["conversation"] async for entry in found]

    @classmethod
    async def top_readers(cls, conversation: Id) -> list[Self]:
        """The two members who have read furthest."""
        return await cls.find({"conversation": conversation}).sort("-read_seq").limit(2).to_list()

    @classmethod
    async def ids_of(cls, conversation: Id, limit: int = 0) -> list[Id]:
        """The members, or as many of them as `limit` says."""
        found = rows(cls).find({"conversation": conversation}, {"user": 1, "_id": 0}).limit(limit)
        return [entry["user"] async for entry in found]

    @classmethod
    async def list_of(cls, conversation: Id, limit: int) -> list[Self]:
        found = cls.find({"conversation": conversation}).sort("+joined_at", "+user").limit(limit)
        return await found.to_list()

    @classmethod
    async def add(cls, member: "Member", session: AsyncClientSession) -> bool:
        """Insert in a transaction; False for who is a member already (the transaction is then over)."""
        fields = member.model_dump(exclude={"id", "revision_id"})
        try:
            await rows(cls).insert_one({"_id": member.id, **fields}, session=session)
        except DuplicateKeyError:
            return False
        return True

    @classmethod
    async def remove(
        cls, conversation: Id, user: Id, roles: Sequence[Role], session: AsyncClientSession
    ) -> bool:
        """Remove a person who has one of `roles`."""
        result = await rows(cls).delete_one(
            {"conversation": conversation, "user": user, "role": {"$in": list(roles)}}, session=session
        )
        return result.deleted_count == 1

    @classmethod
    async def set_role(
        cls, conversation: Id, user: Id, role: Role, session: AsyncClientSession | None = None
    ) -> bool:
        result = await rows(cls).update_one(
            {"conversation": conversation, "user": user}, {"$set": {"role": role}}, session=session
        )
        return result.matched_count == 1

    @classmethod
    async def swap_owner(cls, conversation: Id, owner: Id, heir: Id, session: AsyncClientSession) -> bool:
        """Hand the ownership over; False when `owner` is not the owner any more."""
        members = rows(cls)
        old = {"conversation": conversation, "user": owner, "role": "owner"}
        stepped = await members.update_one(old, {"$set": {"role": "admin"}}, session=session)
        return stepped.matched_count == 1 and await cls.set_role(conversation, heir, "owner", session)

    @classmethod
    async def successor(cls, conversation: Id, leaving: Id, session: AsyncClientSession) -> Id | None:
        """Who owns the group next: the longest-serving admin, else the longest-serving member."""
        members = rows(cls)
        for role in ("admin", "member"):
            found = await members.find_one(
                {"conversation": conversation, "role": role, "user": {"$ne": leaving}},
                sort=[("joined_at", 1), ("user", 1)],
                session=session,
            )
            if found:
                return found["user"]
        return None

    @classmethod
    async def set_muted(cls, conversation: Id, user: Id, muted: bool) -> None:
        await rows(cls).update_one({"conversation": conversation, "user": user}, {"$set": {"muted": muted}})

    @classmethod
    async def mark_read(cls, conversation: Id, user: Id, seq: int, at: datetime) -> bool:
        """Move the read position forward; False when it is there already. It never goes back."""
        where, change = _reading(conversation, user, seq, at)
        mark = {"$each": [{"seq": seq, "at": at}], "$slice": -MAX_MARKS}
        result = await rows(cls).update_one(where, {**change, "$push": {"marks": mark}})
        return result.modified_count == 1

    @classmethod
    async def mark_delivered(cls, marks: Mapping[tuple[Id, Id], int]) -> None:
        """Move delivery positions forward; keys are (conversation, user)."""
        moves = [
            UpdateOne(
                {"conversation": conversation, "user": user, "delivered_seq": {"$lt": seq}},
                {"$set": {"delivered_seq": seq}},
            )
            for (conversation, user), seq in marks.items()
        ]
        await rows(cls).bulk_write(moves, ordered=False)


@dataclass(slots=True)
class Row:
    """A person's place in a conversation with where it stands: `seq` and `read_seq` are exact."""

    member: Member
    conversation: Conversation
    seq: int
    read_seq: int
    last_message: Raw | None

    @classmethod
    def of(cls, raw: Raw) -> Self:
        last = (raw.pop("last") or [None])[0]
        own = _first([entry["seq"] for entry in raw.pop("own")])
        conversation = Conversation.model_validate(raw.pop("c"))
        member = Member.model_validate(raw)
        seq = last["seq"] if last else 0
        return cls(member, conversation, seq, max(member.read_seq, own), last)


class ConversationList:
    """A person's conversations, with exact positions read from the messages."""

    @staticmethod
    async def page(
        user: Id,
        limit: int,
        before: tuple[datetime, Id] | None = None,
        skip: int = 0,
        without: Sequence[Id] = (),
    ) -> list[Row]:
        """Newest first; `before` continues behind a (last_at, id). Empty direct conversations do not show."""
        steps: list[Raw] = [
            *_mine(user, {"conversation": {"$nin": list(without)}}),
            {"$match": {"c.is_begun": True}},
        ]
        if before is not None:
            at, last = before
            behind = [{"c.last_at": {"$lt": at}}, {"c.last_at": at, "c._id": {"$lt": last}}]
            steps.append({"$match": {"$or": behind}})
        steps += [{"$sort": {"c.last_at": -1, "c._id": -1}}, {"$skip": skip}, {"$limit": limit}]
        return await _rows(user, steps)

    @staticmethod
    async def one(user: Id, conversation: Id) -> Row | None:
        """A person's place in one conversation."""
        found = await _rows(user, _mine(user, {"conversation": conversation}))
        return found[0] if found else None

    @staticmethod
    async def all_of(user: Id, limit: int) -> list[Id]:
        """Every conversation of a person, empty ones too."""
        found = rows(Member).find({"user": user}, {"conversation": 1, "_id": 0}).limit(limit)
        return [entry["conversation"] async for entry in found]

    @staticmethod
    async def count(user: Id) -> int:
        return await rows(Member).count_documents({"user": user})


def _mine(user: Id, where: Raw) -> list[Raw]:
    lookup = {"from": "conversations", "localField": "conversation", "foreignField": "_id", "as": "c"}
    return [{"$match": {"user": user, **where}}, {"$lookup": lookup}, {"$unwind": "$c"}]


async def _rows(user: Id, steps: Sequence[Raw]) -> list[Row]:
    """Add the last message, and one's own last message behind what one has read."""
    own: Raw = _last_message("conversation", "own", {"sender": user, "$expr": {"$gt": ["$seq", "$$read"]}})
    own["$lookup"]["let"] = {"read": "$read_seq"}
    last = _last_message("conversation", "last")
    found = await rows(Member).aggregate([*steps, last, own])
    return [Row.of(raw) async for raw in found]


DOCUMENTS: list[type[Document]] = [Conversation, Member]
