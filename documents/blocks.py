"""Blocks, one for each direction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, derived_id
from documents.accounts import Caller, User
from documents.circles import Circle, Mark, NoRoom, behind, transaction
from documents.rows import rows

MOST = 5000


class Block(Document):
    """`blocker` wants nothing to do with `blocked`."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    blocker: Id
    blocked: Id
    at: datetime

    class Settings:
        name = "blocks"
        indexes: ClassVar = [
            IndexModel([("blocker", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("blocked", ASCENDING)]),
        ]

    @staticmethod
    def id_of(blocker: Id, blocked: Id) -> Id:
        return derived_id("block", blocker, blocked)

    @classmethod
    async def place(cls, blocker: Id, blocked: Id, most: int = MOST) -> "Block":
        """Block someone; the block as it then is, also when it was one before. Raises `NoRoom`."""
        block_id = cls.id_of(blocker, blocked)

        async def work(session: AsyncClientSession) -> Block:
            found = await rows(cls).find_one({"_id": block_id}, session=session)
            if found is not None:
                return cls.model_validate(found)
            await Circle.take_turn([blocker], session)
            if await rows(cls).count_documents({"blocker": blocker}, limit=most + 1, session=session) >= most:
                raise NoRoom("blocks")
            block = cls(id=block_id, blocker=blocker, blocked=blocked, at=now())
            await rows(cls).insert_one(block.model_dump(by_alias=True), session=session)
            return block

        return await transaction(work)

    @classmethod
    async def lift(cls, blocker: Id, blocked: Id) -> bool:
        """Take a block back; False when there was none."""
        result = await rows(cls).delete_one({"_id": cls.id_of(blocker, blocked)})
        return result.deleted_count == 1

    @classmethod
    async def between(cls, one: Id, other: Id) -> tuple[set[Id], dict[Id, Caller]]:
        """Who of these two has blocked the other, and how both stand: one query, for every message asks."""
        where = {"_id": {"$in": [cls.id_of(one, other), cls.id_of(other, one)]}}
        people, blocks = await User.callers_beside([one, other], cls, where)
        return {block["blocker"] for block in blocks}, people

    @classmethod
    async def among(cls, user: Id, others: Iterable[Id]) -> set[tuple[Id, Id]]:
        """The blocks between this person and `others`, as (blocker, blocked)."""
        ids = [one for other in others for one in (cls.id_of(user, other), cls.id_of(other, user))]
        found = rows(cls).find({"_id": {"$in": ids}}, {"blocker": 1, "blocked": 1, "_id": 0})
        return {(entry["blocker"], entry["blocked"]) for entry in await found.to_list()}

    @classmethod
    async def hidden_from(cls, viewer: Id) -> set[Id]:
        """Everyone who has blocked this person or was blocked by them."""
        where = {"$or": [{"blocker": viewer}, {"blocked": viewer}]}
        found = rows(cls).find(where, {"blocker": 1, "blocked": 1, "_id": 0})
        return {one for entry in await found.to_list() for one in entry.values() if one != viewer}

    @classmethod
    async def pairs_of_each(cls, users: Collection[Id]) -> set[tuple[Id, Id]]:
        """Every block these people are part of, as (blocker, blocked)."""
        part = {"$in": list(users)}
        where = {"$or": [{"blocker": part}, {"blocked": part}]}
        found = rows(cls).find(where, {"blocker": 1, "blocked": 1, "_id": 0})
        return {(entry["blocker"], entry["blocked"]) for entry in await found.to_list()}

    @classmethod
    async def count_of(cls, blocker: Id) -> int:
        return await rows(cls).count_documents({"blocker": blocker})

    @classmethod
    async def page(
        cls, blocker: Id, limit: int, *, before: Mark | None = None, skip: int = 0
    ) -> Sequence["Block"]:
        """Whom a person has blocked, newest first."""
        where = [{"blocker": blocker}, *behind("at", before)]
        return await cls.find({"$and": where}).sort("-at", "-_id").skip(skip).limit(limit).to_list()
