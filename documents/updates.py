"""The per-person log of changes that are not messages: gapless `pos`, trimmed from the old end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Self

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from common.clock import now
from common.ids import Id
from documents import streams
from documents.rows import Raw, rows
from documents.streams import Collision


class Update(Document):
    """One entry of one person's log: a publication as it was said."""

    user: Id
    pos: int
    event: str
    data: dict[str, Any]
    key: str | None = None
    join: tuple[str, int] | None = None
    leave: str | None = None
    at: datetime = Field(default_factory=now)

    class Settings:
        name = "updates"
        indexes: ClassVar = [
            IndexModel([("user", ASCENDING), ("pos", DESCENDING)], unique=True),
            IndexModel(
                [("user", ASCENDING), ("key", ASCENDING)],
                unique=True,
                partialFilterExpression={"key": {"$type": "string"}},
            ),
            IndexModel([("at", DESCENDING)]),
        ]

    @classmethod
    async def append(cls, entries: Sequence[Raw]) -> Collision | None:
        """Store entries in order; see `documents.streams`."""
        return await streams.append(rows(cls), entries, "pos")

    @classmethod
    async def known(cls, pairs: Sequence[tuple[Id, str]]) -> list[tuple[Id, str]]:
        """Those (person, key) pairs under which an entry is stored."""
        # The type is said for the sake of the partial index, which is not used without it.
        where = {"$or": [{"user": user, "key": {"$eq": key, "$type": "string"}} for user, key in pairs]}
        found = rows(cls).find(where, {"user": 1, "key": 1, "_id": 0})
        return [(entry["user"], entry["key"]) for entry in await found.to_list()]

    @classmethod
    async def head(cls, user: Id) -> int:
        """The last position of a person's log."""
        return await streams.head(rows(cls), "user", user, "pos")

    @classmethod
    async def heads_of(cls, users: Sequence[Id]) -> dict[Id, int]:
        """The last position of each of these logs, as far as they have entries."""
        newest: list[Raw] = [  # in the order of the index, so that the server reads one entry of each log
            {"$match": {"user": {"$in": list(users)}}},
            {"$sort": {"user": 1, "pos": -1}},
            {"$group": {"_id": "$user", "pos": {"$first": "$pos"}}},
        ]
        found = await rows(cls).aggregate(newest)
        return {entry["_id"]: entry["pos"] for entry in await found.to_list()}

    @classmethod
    async def after(cls, user: Id, pos: int, limit: int) -> list[Self]:
        """The next entries behind `pos`, in order."""
        return await cls.find({"user": user, "pos": {"$gt": pos}}).sort("+pos").limit(limit).to_list()

    @classmethod
    async def heads_since(cls, moment: datetime) -> dict[Id, int]:
        """The last position of every log that has grown since `moment`."""
        found = rows(cls).find({"at": {"$gte": moment}}, {"user": 1, "pos": 1, "_id": 0})
        heads: dict[Id, int] = {}
        async for entry in found:
            heads[entry["user"]] = max(heads.get(entry["user"], 0), entry["pos"])
        return heads

    @classmethod
    async def trim(cls, user: Id, up_to: int) -> None:
        """Forget the entries up to and including `up_to`."""
        await rows(cls).delete_many({"user": user, "pos": {"$lte": up_to}})


DOCUMENTS: list[type[Document]] = [Update]
