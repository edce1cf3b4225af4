"""What people with power did: rows are added, never changed, and each seals the one before it.

A row's hash covers the row and the hash of the row before. Whoever changes, removes or slips in a row breaks
the chain from there on; `verify` finds the place.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

import orjson
import structlog
from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import iso, now
from common.ids import Id, new_id
from documents.rows import Raw, rows

T = TypeVar("T")

COUNTED = 10_000
"""A longer list says that it is this long: counting has to end."""
HEAD = "admin_audit"
GENESIS = "0" * 64
"""What the first row seals."""

_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""Turns of one process queue: those that collide in the database try again, and collide again."""
_NUMBER = {"$type": "number"}
"""Said for the sake of the partial index, which is not used without it."""
_SEALED = ("_id", "seq", "actor", "action", "target", "detail", "request_id", "prev")


class AuditHead(Document):
    """Where the chain ends. Each turn changes it first, so turns come one after the other on all nodes."""

    id: str = HEAD  # pyright: ignore[reportIncompatibleVariableOverride]
    turns: int = 0
    seq: int = 0
    hash: str = GENESIS

    class Settings:
        name = "admin_audit_head"


class AdminAudit(Document):
    """Who did what to whom, when. `actor` is a person's id, `cli` for the command line, or `system`."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    seq: int
    actor: str
    action: str
    target: Id
    detail: dict[str, Any] = Field(default_factory=dict[str, Any])
    at: datetime = Field(default_factory=now)
    request_id: str | None = None
    prev: str
    hash: str = ""

    class Settings:
        name = "admin_audit"
        indexes: ClassVar = [
            IndexModel(
                [("seq", DESCENDING)], unique=True, partialFilterExpression={"seq": {"$type": "number"}}
            ),
            IndexModel([("target", ASCENDING), ("seq", DESCENDING)]),
            IndexModel([("actor", ASCENDING), ("seq", DESCENDING)]),
            IndexModel([("action", ASCENDING), ("seq", DESCENDING)]),
        ]

    @classmethod
    async def turn(cls, work: Callable[["AuditTurn"], Awaitable[T]]) -> T:
        """Run `work` in a transaction that may write audit rows; no other turn is under way meanwhile."""
        heads = rows(AuditHead)

        async def in_turn(session: AsyncClientSession) -> T:
            head = await heads.find_one_and_update(
                {"_id": HEAD},
                {"$inc": {"turns": 1}, "$setOnInsert": {"seq": 0, "hash": GENESIS}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            turn = AuditTurn(session, head or {"seq": 0, "hash": GENESIS})
            result = await work(turn)
            end = {"$set": {"seq": turn.seq, "hash": turn.hash}}
            await heads.update_one({"_id": HEAD}, end, session=session)
            return result

        queue = _queues.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with queue, heads.database.client.start_session() as session:
            return await session.with_transaction(in_turn)

    @classmethod
    async def add(cls, actor: str, action: str, target: Id, **detail: Any) -> None:
        """A row of what needs no transaction with anything else."""
        await cls.turn(lambda turn: turn.note(actor, action, target, **detail))

    # -- being read

    @classmethod
    async def page(cls, which: "Which", limit: int, before: int | None, skip: int) -> "AuditPage":
        """Rows that fit, the newest first."""
        where = which.condition()
        total = await rows(cls).count_documents(where, limit=COUNTED)
        behind = {"seq": {"$lt": before, **_NUMBER}} if before is not None else {}
        found = rows(cls).find({"$and": [where, behind]}).sort("seq", DESCENDING).skip(skip)
        entries = [cls.model_validate(raw) async for raw in found.limit(limit + 1)]
        return AuditPage(entries[:limit], total, len(entries) > limit)

    @classmethod
    async def has(cls, seq: int, digest: str) -> bool:
        """Whether that row is there, with that hash."""
        return (
            await rows(cls).find_one({"seq": {"$eq": seq, **_NUMBER}, "hash": digest}, {"_id": 1}) is not None
        )

    @classmethod
    async def verify(cls) -> "Chain":
        """Walk the chain from its beginning to where it ended when this was asked."""
        head = await rows(AuditHead).find_one({"_id": HEAD})
        end = AuditHead.model_validate(head) if head else AuditHead()
        if await rows(cls).find_one({"seq": {"$not": {"$type": "number"}}}, {"_id": 1}):
            return Chain(0, GENESIS, "a row stands outside of the chain")
        last = Chain(0, GENESIS)
        async for raw in rows(cls).find({"seq": {"$lte": end.seq, **_NUMBER}}).sort("seq", ASCENDING):
            trouble = _trouble(raw, last)
            if trouble is not None:
                return Chain(last.length, last.hash, trouble)
            last = Chain(raw["seq"], raw["hash"])
        if (last.length, last.hash) != (end.seq, end.hash):
            return Chain(last.length, last.hash, f"the chain ends early: {end.seq} rows were written")
        return last


class AuditTurn:
    """A transaction that may write audit rows."""

    def __init__(self, session: AsyncClientSession, head: Raw) -> None:
        self.session = session
        self.seq: int = head["seq"]
        self.hash: str = head["hash"]

    async def note(self, actor: str, action: str, target: Id, /, **detail: Any) -> None:
        """Write a row; `detail` is kept as JSON has it."""
        row = AdminAudit(
            seq=self.seq + 1,
            actor=actor,
            action=action,
            target=target,
            detail=orjson.loads(orjson.dumps(detail, option=orjson.OPT_UTC_Z)),
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
            prev=self.hash,
        )
        raw = row.model_dump(by_alias=True)
        raw["hash"] = _digest(raw)
        await rows(AdminAudit).insert_one(raw, session=self.session)
        self.seq, self.hash = row.seq, raw["hash"]


@dataclass(frozen=True, slots=True)
class Which:
    """Which rows are asked for."""

    actor: str | None = None
    target: Id | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Raw:
        named = {"actor": self.actor, "target": self.target, "action": self.action}
        where: Raw = {name: value for name, value in named.items() if value is not None}
        times = {"$gte": self.since, "$lt": self.until}
        period = {name: value for name, value in times.items() if value is not None}
        return {"seq": {"$gt": 0, **_NUMBER}, **where, **({"at": period} if period else {})}


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Rows, how many there are in all, and whether more follow."""

    entries: Sequence[AdminAudit]
    total: int
    more: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the chain holds: so many rows, the last of them with this hash; and what is wrong behind it."""

    length: int
    hash: str
    trouble: str | None = None


def _trouble(raw: Raw, last: Chain) -> str | None:
    """What is wrong with the row behind `last`."""
    if raw["seq"] != last.length + 1:
        return f"row {last.length + 1} is missing"
    if raw.get("prev") != last.hash:
        return f"row {raw['seq']} does not follow the one before it"
    return None if raw.get("hash") == _digest(raw) else f"row {raw['seq']} was changed"


def _digest(raw: Raw) -> str:
    """What seals a row."""
    sealed = {**{name: raw.get(name) for name in _SEALED}, "at": iso(raw["at"])}
    return hashlib.sha256(orjson.dumps(sealed, option=orjson.OPT_SORT_KEYS)).hexdigest()
