"""A person's conversations as lists show them, with exact positions read from the messages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from common.ids import Id
from documents.conversations.conversations import Conversation, last_message
from documents.conversations.members import Member
from documents.rows import Raw, rows


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
        own = next((entry["seq"] for entry in raw.pop("own")), 0)
        conversation = Conversation.model_validate(raw.pop("c"))
        member = Member.model_validate(raw)
        seq = last["seq"] if last else 0
        return cls(member, conversation, seq, max(member.read_seq, own), last)


@dataclass(frozen=True, slots=True)
class Activity:
    """A conversation of somebody's: when it was last active, and with whom, if it is a direct one."""

    conversation: Id
    last_at: datetime
    other: Id | None


class ConversationList:
    """A person's conversations. Direct ones without a message do not show."""

    @staticmethod
    async def page(
        user: Id,
        limit: int,
        before: tuple[datetime, Id] | None = None,
        skip: int = 0,
        without: Sequence[Id] = (),
    ) -> list[Row]:
        """Newest first; `before` continues behind a (last_at, id) as they are stored."""
        steps = _listed(user, without)
        if before is not None:
            at, last = before
            behind = [{"c.last_at": {"$lt": at}}, {"c.last_at": at, "c._id": {"$lt": last}}]
            steps.append({"$match": {"$or": behind}})
        steps += [{"$sort": {"c.last_at": -1, "c._id": -1}}, {"$skip": skip}, {"$limit": limit}]
        return await _rows(user, steps)

    @staticmethod
    async def count(user: Id, without: Sequence[Id] = ()) -> int:
        """How many the list has."""
        found = await rows(Member).aggregate([*_listed(user, without), {"$count": "total"}])
        return sum([entry["total"] async for entry in found])

    @staticmethod
    async def one(user: Id, conversation: Id) -> Row | None:
        """A person's place in one conversation."""
        found = await _rows(user, _mine(user, {"conversation": conversation}))
        return found[0] if found else None

    @staticmethod
    async def activity_of(user: Id, limit: int) -> list["Activity"]:
        """The conversations of a person and when each was last active, the latest first."""
        mine = (await Member.places_of([user])).get(user, [])
        found = rows(Conversation).find({"_id": {"$in": mine}}, {"last_at": 1, "pair": 1})
        ordered = await found.sort([("last_at", -1), ("_id", -1)]).limit(limit).to_list()
        return [
            Activity(raw["_id"], raw["last_at"], next((one for one in raw["pair"] if one != user), None))
            for raw in ordered
        ]

    @staticmethod
    async def all_of(user: Id, limit: int) -> list[Id]:
        """The conversations of a person by activity, newest first, empty ones too."""
        by_activity: list[Raw] = [
            *_mine(user, {}),
            {"$sort": {"c.last_at": -1, "c._id": -1}},
            {"$limit": limit},
            {"$project": {"conversation": 1}},
        ]
        return [entry["conversation"] async for entry in await rows(Member).aggregate(by_activity)]


async def top_readers_of(conversations: Collection[Id]) -> dict[Id, list[Member]]:
    """Of each conversation the two members who have read furthest."""
    lookup = {"from": rows(Member).name, "localField": "_id", "foreignField": "conversation"}
    furthest = [{"$sort": {"read_seq": -1}}, {"$limit": 2}]
    found = await rows(Conversation).aggregate(
        [
            {"$match": {"_id": {"$in": list(conversations)}}},
            {"$project": {"_id": 1}},
            {"$lookup": {**lookup, "pipeline": furthest, "as": "readers"}},
        ]
    )
    return {
        raw["_id"]: [Member.model_validate(reader) for reader in raw["readers"]]
        for raw in await found.to_list()
    }


@dataclass(frozen=True, slots=True)
class Behind:
    """A member who has not read a conversation to its end: `unread` messages, the last by `sender_id`."""

    user_id: Id
    conversation_id: Id
    group_name: str | None
    sender_id: Id
    seq: int
    unread: int


async def behind(conversations: Collection[Id], most: int) -> list[Behind]:
    """Who is behind, and has not muted it, in those conversations that have at most `most` members.

    Whoever wrote the last message is not.
    """
    unread: list[Raw] = [
        {
            "$match": {
                "muted": False,
                "$expr": {
                    "$and": [
                        {"$lt": ["$read_seq", "$$seq"]},
                        {"$ne": ["$user", "$$sender"]},
                    ]
                },
            }
        },
        {"$project": {"user": 1, "read_seq": 1}},
    ]
    steps: list[Raw] = [
        {"$match": {"_id": {"$in": list(conversations)}, "member_count": {"$lte": most}}},
        {"$project": {"kind": 1, "name": 1}},
        last_message("_id", "last"),
        {"$project": {"kind": 1, "name": 1, "last": {"$first": "$last"}}},
        {"$project": {"kind": 1, "name": 1, "seq": "$last.seq", "sender": "$last.sender"}},
        {
            "$lookup": {
                "from": "members",
                "localField": "_id",
                "foreignField": "conversation",
                "let": {"seq": "$seq", "sender": "$sender"},
                "pipeline": unread,
                "as": "members",
            }
        },
    ]
    return [
        Behind(
            user_id=member["user"],
            conversation_id=raw["_id"],
            group_name=raw["name"] if raw["kind"] == "group" else None,
            sender_id=raw["sender"],
            seq=raw["seq"],
            unread=raw["seq"] - member["read_seq"],
        )
        async for raw in await rows(Conversation).aggregate(steps)
        for member in raw["members"]
    ]


def _listed(user: Id, without: Sequence[Id]) -> list[Raw]:
    return [*_mine(user, {"conversation": {"$nin": list(without)}}), {"$match": {"c.is_begun": True}}]


def _mine(user: Id, where: Raw) -> list[Raw]:
    lookup = {"from": "conversations", "localField": "conversation", "foreignField": "_id", "as": "c"}
    return [{"$match": {"user": user, **where}}, {"$lookup": lookup}, {"$unwind": "$c"}]


async def _rows(user: Id, steps: Sequence[Raw]) -> list[Row]:
    """Add the last message, and one's own last message behind what one has read."""
    own: Raw = last_message("conversation", "own", {"sender": user, "$expr": {"$gt": ["$seq", "$$read"]}})
    own["$lookup"]["let"] = {"read": "$read_seq"}
    last = last_message("conversation", "last")
    found = await rows(Member).aggregate([*steps, last, own])
    return [Row.of(raw) async for raw in found]
