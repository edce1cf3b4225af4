"""What keeps friendships exact: turns, so that no race passes a limit, and a note of what is yet untold."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import ClassVar, Literal, TypeVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

T = TypeVar("T")

Mark = tuple[datetime, Id]
"""Where a list goes on: the time and the id of the last row shown."""

_ATTEMPTS = 20


class NoRoom(Exception):
    """There are as many as there may be."""

    def __init__(self, what: Literal["friends", "requests", "blocks"]) -> None:
        super().__init__(what)
        self.what = what


class Circle(Document):
    """Somebody's friends and requests as one thing: transactions that add to it write here, one at a time."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    turn: int = 0

    class Settings:
        name = "friend_circles"
        indexes: ClassVar = []

    @classmethod
    async def take_turn(cls, people: Iterable[Id], session: AsyncClientSession) -> None:
        """What is counted from now on stays as it is until the transaction ends."""
        for person in sorted(people):
            await rows(cls).update_one({"_id": person}, {"$inc": {"turn": 1}}, upsert=True, session=session)


class Untold(Document):
    """Two people whose logs may not know yet what has become of them. Its id is that of what they have."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    pair: list[Id]
    change: Id
    at: datetime

    class Settings:
        name = "friend_news"
        indexes: ClassVar = [IndexModel([("at", ASCENDING)])]

    @classmethod
    async def add(cls, edge_id: Id, pair: Sequence[Id], session: AsyncClientSession) -> None:
        """Something has changed, in this transaction."""
        fresh = {"pair": list(pair), "change": new_id(), "at": now()}
        await rows(cls).update_one({"_id": edge_id}, {"$set": fresh}, upsert=True, session=session)

    @classmethod
    async def of(cls, edge_id: Id) -> "Untold | None":
        raw = await rows(cls).find_one({"_id": edge_id})
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def late(cls, before: datetime, limit: int) -> "list[Untold]":
        """What nobody has told since then."""
        found = rows(cls).find({"at": {"$lt": before}}).sort("at", ASCENDING).limit(limit)
        return [cls.model_validate(raw) for raw in await found.to_list()]

    async def claim(self) -> bool:
        """Be the one who tells it for now; should that fail, others may try in a while."""
        mine = {"_id": self.id, "change": self.change, "at": self.at}
        result = await rows(Untold).update_one(mine, {"$set": {"at": now()}})
        return result.modified_count == 1

    async def told(self) -> None:
        """It has been told, unless something else has happened since."""
        await rows(Untold).delete_one({"_id": self.id, "change": self.change})


async def transaction(work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """Run `work` in one transaction, again when somebody else was faster."""
    client = rows(Circle).database.client
    for _ in range(_ATTEMPTS):
        try:
            async with client.start_session() as session:
                return await session.with_transaction(work)
        except DuplicateKeyError:
            continue
    raise TimeoutError


def behind(time: str, mark: Mark | None) -> Sequence[Raw]:
    """What comes after a mark in a list that begins with the newest."""
    if mark is None:
        return ()
    moment, last = mark
    return ({"$or": [{time: {"$lt": moment}}, {time: moment, "_id": {"$lt": last}}]},)
