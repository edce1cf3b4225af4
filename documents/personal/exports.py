"""Copies of what is stored about people: asked for, built by the node that has the lease, then kept."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

ATTEMPTS = 5
PART = 262_144
"""Bytes of a part; the last one of a copy may be shorter."""
MARGIN = timedelta(hours=1)
"""How much longer parts are kept than the copy: who began to read it may finish."""


class Export(Document):
    """One person's copy; its id is theirs. `archive` names the parts of the attempt that counts."""

    id: Id  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    state: Literal["building", "ready", "failed"] = "building"
    asked_at: datetime = Field(default_factory=now)
    archive: Id | None = None
    attempts: int = 0
    leased_until: datetime = Field(default_factory=now)
    parts: int = 0
    size: int | None = None
    expires_at: datetime | None = None

    class Settings:
        name = "exports"
        indexes: ClassVar = [
            IndexModel([("leased_until", ASCENDING)], partialFilterExpression={"state": "building"}),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
        ]

    @classmethod
    async def of(cls, user_id: Id) -> Self | None:
        """The copy there is, unless it has expired."""
        found = await cls.find_one({"_id": user_id})
        return found if found is not None and (found.expires_at is None or found.expires_at > now()) else None

    @classmethod
    async def ask(cls, user_id: Id, every: timedelta) -> Self:
        """Have a copy made, unless one is being made or was asked for lately; the one there is then."""
        at = now()
        due: Raw = {"state": {"$ne": "building"}, "asked_at": {"$lte": at - every}}
        over: Raw = {"$or": [due, {"state": "failed"}, {"expires_at": {"$lte": at}}]}
        fresh = cls(id=user_id, asked_at=at, leased_until=at).model_dump(exclude={"id", "revision_id"})
        try:
            raw = await rows(cls).find_one_and_update(
                {"_id": user_id, **over}, {"$set": fresh}, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # there is one, and it is neither old nor failed
            raw = await rows(cls).find_one({"_id": user_id})
        return cls.model_validate(raw)

    # -- building: one node at a time, and another one when that has gone

    @classmethod
    async def claim(cls, lease: timedelta) -> Self | None:
        """The next one to build, with an archive of its own; who has tried too often has failed."""
        at = now()
        free = {"state": "building", "leased_until": {"$lte": at}}
        await rows(cls).update_many({**free, "attempts": {"$gte": ATTEMPTS}}, {"$set": {"state": "failed"}})
        raw = await rows(cls).find_one_and_update(
            free,
            {"$set": {"archive": new_id(), "leased_until": at + lease}, "$inc": {"attempts": 1}},
            sort=[("leased_until", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(raw) if raw else None

    async def hold(self, lease: timedelta) -> bool:
        """Go on building; False when another node does by now, or nobody wants it any more."""
        return await self._change({"leased_until": now() + lease})

    async def let_go(self, pause: timedelta = timedelta(0)) -> None:
        """Let the next one try, after a pause."""
        await self._change({"leased_until": now() + pause})

    async def finish(self, parts: int, size: int, expires_at: datetime) -> bool:
        """It can be fetched from now on."""
        done = {"state": "ready", "parts": parts, "size": size, "expires_at": expires_at}
        if not await self._change(done):
            return False
        older = {"user_id": self.id, "archive": {"$ne": self.archive}}
        await rows(ExportPart).delete_many(older)
        return True

    async def _change(self, fields: Raw) -> bool:
        mine = {"_id": self.id, "archive": self.archive, "state": "building"}
        return (await rows(type(self)).update_one(mine, {"$set": fields})).matched_count == 1


class ExportPart(Document):
    """A piece of a copy. Pieces of attempts that were given up go like all others: when they expire."""

    archive: Id
    user_id: Id
    n: int
    data: bytes
    expires_at: datetime

    class Settings:
        name = "export_parts"
        indexes: ClassVar = [
            IndexModel([("archive", ASCENDING), ("n", ASCENDING)], unique=True),
            IndexModel([("user_id", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
        ]

    @classmethod
    async def add(cls, export: Export, n: int, data: bytes, expires_at: datetime) -> None:
        await rows(cls).insert_one(
            {
                "archive": export.archive,
                "user_id": export.id,
                "n": n,
                "data": data,
                "expires_at": expires_at + MARGIN,
            }
        )

    @classmethod
    async def read(cls, export: Export) -> AsyncIterator[bytes]:
        """The pieces in order; raises `LookupError` when one is missing."""
        for n in range(export.parts):
            raw = await rows(cls).find_one({"archive": export.archive, "n": n}, {"data": 1})
            if raw is None:
                raise LookupError(n)
            yield raw["data"]
