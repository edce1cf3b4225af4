"""The places people have in conversations: their role and how far they have read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal, Self

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

Role = Literal["owner", "admin", "member"]

MAX_MARKS = 50


class Mark(BaseModel):
    """Up to `seq` was read `at` that time."""

    seq: int
    at: datetime


class Member(Document):
    """One person's place in a conversation: role and positions.

    `since` is the conversation's version with which they came, `version` the one that gave them their role.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    conversation: Id
    user: Id
    role: Role = "member"
    since: int = 1
    version: int = 1
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
            IndexModel([("conversation", ASCENDING), ("read_seq", DESCENDING)]),
            IndexModel([("user", ASCENDING)]),
            IndexModel(
                [("conversation", ASCENDING)],
                name="one_owner",
                unique=True,
                partialFilterExpression={"role": "owner"},
            ),
        ]

    # -- finding

    @classmethod
    async def role_of(cls, conversation: Id, user: Id) -> Role | None:
        """A person's role; None for who is not a member."""
        found = await rows(cls).find_one({"conversation": conversation, "user": user}, {"role": 1, "_id": 0})
        return found["role"] if found else None

    @classmethod
    async def of(cls, conversation: Id, user: Id, session: AsyncClientSession | None = None) -> Self | None:
        return await cls.find_one({"conversation": conversation, "user": user}, session=session)

    @classmethod
    async def among(cls, user: Id, conversations: Sequence[Id]) -> list[Id]:
        """Those of `conversations` in which this person has a place."""
        where = {"user": user, "conversation": {"$in": list(conversations)}}
        found = rows(cls).find(where, {"conversation": 1, "_id": 0})
        return [entry["conversation"] for entry in await found.to_list()]

    @classmethod
    async def places_of(cls, users: Sequence[Id]) -> dict[Id, list[Id]]:
        """The conversations in which each of these people has a place, in no order."""
        places: dict[Id, list[Id]] = {}
        found = rows(cls).find({"user": {"$in": list(users)}}, {"user": 1, "conversation": 1, "_id": 0})
        for entry in await found.to_list():
            places.setdefault(entry["user"], []).append(entry["conversation"])
        return places

    @classmethod
    async def founders(cls, conversation: Id) -> list[Self]:
        """Those members who are there from the beginning."""
        return await cls.find({"conversation": conversation, "since": 1}).to_list()

    @classmethod
    async def changed_by(cls, conversation: Id, version: int) -> list[Self]:
        """Those members whose role was changed by this version of the conversation."""
        which = {"conversation": conversation, "version": version, "since": {"$lt": version}}
        return await cls.find(which).to_list()

    @classmethod
    async def top_readers(cls, conversation: Id) -> list[Self]:
        """The two members who have read furthest."""
        return await cls.find({"conversation": conversation}).sort("-read_seq").limit(2).to_list()

    @classmethod
    async def ids_of(cls, conversation: Id, limit: int | None = None) -> list[Id]:
        """Who is a member; at most `limit` of them, to know cheaply whether there are more than that."""
        found = rows(cls).find({"conversation": conversation}, {"user": 1, "_id": 0}).limit(limit or 0)
        return [entry["user"] for entry in await found.to_list()]

    @classmethod
    async def list_of(cls, conversation: Id, limit: int) -> list[Self]:
        found = cls.find({"conversation": conversation}).sort("+joined_at", "+user").limit(limit)
        return await found.to_list()

    @classmethod
    async def successor(cls, conversation: Id, session: AsyncClientSession) -> Id | None:
        """Who owns the group next: the longest-serving admin, else the longest-serving member."""
        for role in ("admin", "member"):
            found = await rows(cls).find_one(
                {"conversation": conversation, "role": role},
                sort=[("joined_at", 1), ("user", 1)],
                session=session,
            )
            if found:
                return found["user"]
        return None

    # -- coming, going, and roles: always in a transaction that has advanced the conversation's version

    @classmethod
    def upsert(cls, conversation: Id, user: Id, role: Role) -> UpdateOne:
        fresh = cls(conversation=conversation, user=user, role=role)
        fields = fresh.model_dump(exclude={"id", "revision_id", "conversation", "user"})
        who = {"conversation": conversation, "user": user}
        return UpdateOne(who, {"$setOnInsert": {"_id": new_id(), **fields}}, upsert=True)

    @classmethod
    async def add(cls, member: "Member", session: AsyncClientSession) -> bool:
        """Give a person a place; False for who is a member already (the transaction is then over)."""
        try:
            await rows(cls).insert_one(member.stored(), session=session)
        except DuplicateKeyError:
            return False
        return True

    def stored(self) -> Raw:
        """This place as it is stored."""
        return {"_id": self.id, **self.model_dump(exclude={"id", "revision_id"})}

    @classmethod
    async def remove(
        cls, conversation: Id, user: Id, roles: Sequence[Role], session: AsyncClientSession
    ) -> Self | None:
        """Remove a person who has one of `roles`; the place they had."""
        who = {"conversation": conversation, "user": user, "role": {"$in": list(roles)}}
        found = await rows(cls).find_one_and_delete(who, session=session)
        return cls.model_validate(found) if found else None

    @classmethod
    async def set_role(cls, place: "Member", role: Role, version: int, session: AsyncClientSession) -> bool:
        """Give the person in `place` another role; False when theirs is not what `place` says any more."""
        seen = {"_id": place.id, "role": place.role}
        change = {"$set": {"role": role, "version": version}}
        return (await rows(cls).update_one(seen, change, session=session)).matched_count == 1

    @classmethod
    async def crown(cls, conversation: Id, heir: Id, version: int, session: AsyncClientSession) -> None:
        """Make `heir` the owner of a group that has none at the moment."""
        who = {"conversation": conversation, "user": heir}
        change = {"$set": {"role": "owner", "version": version}}
        await rows(cls).update_one(who, change, session=session)

    # -- one's own

    @classmethod
    async def set_muted(cls, conversation: Id, user: Id, muted: bool) -> None:
        await rows(cls).update_one({"conversation": conversation, "user": user}, {"$set": {"muted": muted}})

    @classmethod
    async def mark_read(cls, conversation: Id, user: Id, seq: int, at: datetime) -> bool:
        """Move the read position forward; False when it is there already. It never goes back."""
        where, change = reading(conversation, user, seq, at)
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


def reading(conversation: Id, user: Id, seq: int, at: datetime) -> tuple[Raw, Raw]:
    """Which place has not read up to `seq`, and what makes it so."""
    where = {"conversation": conversation, "user": user, "read_seq": {"$lt": seq}}
    return where, {"$set": {"read_seq": seq, "read_at": at}, "$max": {"delivered_seq": seq}}
