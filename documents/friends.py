"""Friendships, one document for each two people."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, derived_id
from documents.accounts import User
from documents.blocks import Block
from documents.circles import Circle, Mark, NoRoom, Untold, behind, transaction
from documents.rows import Raw, rows

State = Literal["pending", "accepted"]

COUNTED = 10_000
"""A longer list says that it is this long: counting has to end."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many friends somebody may have, and how many requests of theirs may wait for an answer."""

    friends: int
    requests: int


class Friendship(Document):
    """Two people who are friends, or of whom `asked_by` has asked. `ask` is the only way in."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    pair: list[Id]
    state: State
    asked_by: Id
    asked_at: datetime
    changed_at: datetime

    class Settings:
        name = "friendships"
        indexes: ClassVar = [
            IndexModel(
                [
                    ("pair", ASCENDING),
                    ("state", ASCENDING),
                    ("changed_at", DESCENDING),
                    ("_id", DESCENDING),
                ]
            ),
        ]

    @staticmethod
    def id_of(one: Id, other: Id) -> Id:
        """The id of what two people have, the same from either side."""
        return derived_id("friendship", *sorted((one, other)))

    def other(self, user: Id) -> Id:
        """Whom `user` is friends with here."""
        return self.pair[1] if self.pair[0] == user else self.pair[0]

    @classmethod
    async def ask(cls, asker: Id, other: Id, room: Room) -> "tuple[Friendship, bool]":
        """Ask, or become friends when the other has asked; two that cross are one. Raises `NoRoom`.

        What they have then, and whether that is new.
        """

        async def work(session: AsyncClientSession) -> tuple[Friendship, bool]:
            before = await cls._find({"_id": cls.id_of(asker, other)}, session)
            if before is not None and (before.state == "accepted" or before.asked_by == asker):
                return before, False
            if before is not None:
                return await cls._befriend(before, room, session), True
            await Circle.take_turn([asker], session)
            await cls._require_room([asker], room.friends, session)
            waiting = {"pair": asker, "state": "pending", "asked_by": asker}
            if (
                await rows(cls).count_documents(waiting, limit=room.requests + 1, session=session)
                >= room.requests
            ):
                raise NoRoom("requests")
            at, pair = now(), sorted((asker, other))
            edge_id = cls.id_of(asker, other)
            edge = cls(id=edge_id, pair=pair, state="pending", asked_by=asker, asked_at=at, changed_at=at)
            await rows(cls).insert_one(edge.model_dump(by_alias=True), session=session)
            await Untold.add(edge_id, pair, session)
            return edge, True

        return await transaction(work)

    @classmethod
    async def accept(cls, user: Id, asked_by: Id, room: Room) -> "tuple[Friendship, bool] | None":
        """Say yes to a request; what they have then, and whether that is new. Raises `NoRoom`."""

        async def work(session: AsyncClientSession) -> tuple[Friendship, bool] | None:
            before = await cls._find({"_id": cls.id_of(user, asked_by)}, session)
            if before is None or before.state == "accepted":
                return (before, False) if before is not None else None
            if before.asked_by != asked_by:
                return None
            return await cls._befriend(before, room, session), True

        return await transaction(work)

    @classmethod
    async def _befriend(cls, before: "Friendship", room: Room, session: AsyncClientSession) -> "Friendship":
        """Make friends of two people, if either may have one more."""
        await Circle.take_turn(before.pair, session)
        await cls._require_room(before.pair, room.friends, session)
        after = before.model_copy(update={"state": "accepted", "changed_at": now()})
        change = {"state": after.state, "changed_at": after.changed_at}
        await rows(cls).update_one({"_id": before.id}, {"$set": change}, session=session)
        await Untold.add(before.id, before.pair, session)
        return after

    @classmethod
    async def _require_room(cls, people: Iterable[Id], most: int, session: AsyncClientSession) -> None:
        for person in people:
            friends = {"pair": person, "state": "accepted"}
            if await rows(cls).count_documents(friends, limit=most + 1, session=session) >= most:
                raise NoRoom("friends")

    @classmethod
    async def _find(cls, where: Raw, session: AsyncClientSession) -> "Friendship | None":
        found = await rows(cls).find_one(where, session=session)
        return cls.model_validate(found) if found else None

    @classmethod
    async def end(
        cls, one: Id, other: Id, *, state: State | None = None, asked_by: Id | None = None
    ) -> "Friendship | None":
        """Remove what two people have, when it is as said; exactly one caller gets what was removed."""
        where: Raw = {"_id": cls.id_of(one, other)}
        if state is not None:
            where["state"] = state
        if asked_by is not None:
            where["asked_by"] = asked_by

        async def work(session: AsyncClientSession) -> Friendship | None:
            found = await rows(cls).find_one_and_delete(where, session=session)
            if found is None:
                return None
            await Untold.add(found["_id"], found["pair"], session)
            return cls.model_validate(found)

        return await transaction(work)

    @classmethod
    async def between(cls, one: Id, other: Id) -> "Friendship | None":
        return await cls.find_one({"_id": cls.id_of(one, other)})

    @classmethod
    async def friend_ids(cls, user: Id) -> set[Id]:
        """Everyone this person is friends with."""
        where = {"pair": user, "state": "accepted"}
        found = rows(cls).find(where, {"pair": 1, "_id": 0})
        return {one for entry in await found.to_list() for one in entry["pair"] if one != user}

    @classmethod
    async def states_with(cls, user: Id, others: Iterable[Id]) -> dict[Id, State]:
        """Which of `others` are friends of this person, or would be, or have been asked to be."""
        where = {"_id": {"$in": [cls.id_of(user, other) for other in others]}}
        found = rows(cls).find(where, {"pair": 1, "state": 1, "_id": 0})
        return {
            one: entry["state"] for entry in await found.to_list() for one in entry["pair"] if one != user
        }

    @classmethod
    async def friends_of_each(cls, users: Collection[Id]) -> dict[Id, set[Id]]:
        """The friends of each of these people, in one query."""
        friends: dict[Id, set[Id]] = {user: set() for user in users}
        where = {"pair": {"$in": list(users)}, "state": "accepted"}
        found = rows(cls).find(where, {"pair": 1, "_id": 0})
        for entry in await found.to_list():
            one, other = entry["pair"]
            if one in friends:
                friends[one].add(other)
            if other in friends:
                friends[other].add(one)
        return friends

    @classmethod
    async def friends_at(cls, user: Id, at: datetime, most: int) -> list[Id]:
        """Those who are friends since `at` or longer, the latest first."""
        where = {"pair": user, "state": "accepted", "changed_at": {"$lte": at}}
        found = rows(cls).find(where, {"pair": 1, "_id": 0}).sort([("changed_at", -1), ("_id", -1)])
        pairs = [entry["pair"] for entry in await found.limit(most).batch_size(most).to_list()]
        return [pair[1] if pair[0] == user else pair[0] for pair in pairs]

    @classmethod
    async def friends_of(
        cls, friends: Sequence[Id], at: datetime, each: int, without: Collection[Id], most: int
    ) -> dict[Id, int]:
        """Of the latest friends of each of these: who is a friend of most of them, and of how many."""
        found = await rows(User).aggregate(
            [
                {"$match": {"_id": {"$in": list(friends)}}},
                {"$project": {"_id": 1}},
                _latest_friendships("theirs", at, each),
                {"$unwind": "$theirs"},
                {"$unwind": "$theirs.pair"},
                {"$group": {"_id": "$theirs.pair", "count": {"$sum": 1}}},
                {"$match": {"_id": {"$nin": [*without]}}},
                {"$sort": {"count": -1, "_id": 1}},
                {"$limit": most},
            ]
        )
        return {entry["_id"]: entry["count"] for entry in await found.to_list()}

    @classmethod
    async def count_of(cls, user: Id, only: Mapping[str, Any]) -> int:
        """How many there are, as far as they are counted: any number of people can ask one."""
        return await rows(cls).count_documents({"pair": user, **only}, limit=COUNTED)

    @classmethod
    async def page(
        cls, user: Id, only: Mapping[str, Any], limit: int, *, before: Mark | None = None, skip: int = 0
    ) -> Sequence["Friendship"]:
        """A person's friendships or requests, newest first."""
        where = [{"pair": user, **only}, *behind("changed_at", before)]
        found = cls.find({"$and": where}).sort("-changed_at", "-_id").skip(skip).limit(limit)
        return await found.to_list()


def _latest_friendships(name: str, at: datetime, each: int) -> Raw:
    """A step that looks up the latest friendships of each person."""
    pipeline: list[Raw] = [
        {"$match": {"state": "accepted", "changed_at": {"$lte": at}}},
        {"$sort": {"changed_at": -1, "_id": -1}},
        {"$limit": each},
        {"$project": {"_id": 0, "pair": 1}},
    ]
    lookup = {"from": rows(Friendship).name, "localField": "_id", "foreignField": "pair"}
    return {"$lookup": {**lookup, "pipeline": pipeline, "as": name}}


DOCUMENTS: list[type[Document]] = [Friendship, Block, Circle, Untold]

__all__ = ["DOCUMENTS", "Block", "Friendship", "Mark", "NoRoom", "Room", "State", "Untold"]
