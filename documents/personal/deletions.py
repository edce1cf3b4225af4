"""Accounts on their way out: asked for, taken back, or erased by whichever node has the lease."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, Self, TypeVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.accounts import AdminAudit, User
from documents.accounts.leaving import Leaving, another_administers
from documents.rows import Raw, rows

Stage = Literal["announcing", "waiting", "returning", "erasing", "settling"]
"""Others are to be told; the grace period runs; others are to be told that it was taken back; what is stored
is being erased; it is erased, but for what was under way meanwhile."""

Refusal = Literal["absent", "last_admin"]
Note = Callable[[str], Awaitable[None]]
"""Leaves an audit row of an action, where there is to be one."""
T = TypeVar("T")

_NEVER = datetime.fromtimestamp(0, UTC)
_FREE: Raw = {"lease": None, "leased_until": _NEVER}


class Deletion(Document):
    """That an account is to be deleted. It is removed last, and with it what links `pseudonym` to a person.

    `round` counts how often it was asked for and taken back, so that everyone is told once of each.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    by: str
    pseudonym: Id = Field(default_factory=new_id)
    stage: Stage = "announcing"
    round: int = 1
    asked_at: datetime = Field(default_factory=now)
    deletes_at: datetime
    due_at: datetime = Field(default_factory=now)
    lease: Id | None = None
    leased_until: datetime = _NEVER

    class Settings:
        name = "deletions"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING)], unique=True),
            IndexModel([("due_at", ASCENDING)]),
        ]

    # -- asking and taking back: in one transaction with the person's standing

    @classmethod
    async def ask(cls, wanted: "Deletion") -> "Deletion | Refusal":
        """Let a person leave; the deletion that stands then, sooner than before if that was asked for."""
        return await _transaction(wanted.by, wanted.user_id, wanted._begin)

    async def _begin(self, session: AsyncClientSession, note: Note) -> "Deletion | Refusal":
        user = await rows(User).find_one({"_id": self.user_id}, session=session)
        if user is None:
            return "absent"
        known = await Deletion.of(self.user_id, session)
        if known is not None and not known.is_later_than(self):
            return known
        is_admin = user["is_admin"] and user.get("leaving") is None
        if is_admin and not await another_administers(rows(User), self.user_id, session):
            return "last_admin"
        await note("user_delete")
        return await self._instead_of(known, session)

    def is_later_than(self, other: "Deletion") -> bool:
        """Whether `other` has to take the place of this one: it was taken back, or `other` is more urgent."""
        waits = self.stage in ("announcing", "waiting") and other.deletes_at < self.deletes_at
        return self.stage == "returning" or (waits and other.by != other.user_id)

    async def _instead_of(self, known: "Deletion | None", session: AsyncClientSession) -> "Deletion":
        leaving = Leaving(deletes_at=self.deletes_at, restorable=self.by == self.user_id)
        change = {"$set": {"leaving": leaving.model_dump()}}
        await rows(User).update_one({"_id": self.user_id}, change, session=session)
        kept = known.model_dump(include={"id", "pseudonym", "lease", "leased_until"}) if known else {}
        made = self.model_copy(update={**kept, "round": known.round + 1 if known else 1})
        stored = made.model_dump(exclude={"id", "revision_id"})
        await rows(Deletion).replace_one({"_id": made.id}, stored, upsert=True, session=session)
        return made

    @classmethod
    async def take_back(cls, user_id: Id, *, by: str, deletes_at: datetime | None = None) -> bool:
        """Let a person stay, unless erasing has begun; with `deletes_at` only out of that very deletion."""

        async def work(session: AsyncClientSession, note: Note) -> bool:
            which: Raw = {"user_id": user_id, "stage": {"$in": ["announcing", "waiting"]}}
            which["deletes_at"] = {"$gt": now(), **({"$eq": deletes_at} if deletes_at else {})}
            back: Raw = {"$set": {"stage": "returning", "due_at": now()}, "$inc": {"round": 1}}
            if (await rows(cls).update_one(which, back, session=session)).matched_count == 0:
                return False
            await rows(User).update_one({"_id": user_id}, {"$set": {"leaving": None}}, session=session)
            await note("user_restore")
            return True

        return await _transaction(by, user_id, work)

    @classmethod
    async def of(cls, user_id: Id, session: AsyncClientSession | None = None) -> Self | None:
        return await cls.find_one({"user_id": user_id}, session=session)

    # -- working on it: one node at a time, and another one when that has gone

    @classmethod
    async def claim(cls, lease: timedelta, stage: Stage | None = None) -> Self | None:
        """The next one there is something to do for (at that stage), if nobody else does it."""
        at = now()
        at_stage = {"stage": stage} if stage is not None else {}
        raw = await rows(cls).find_one_and_update(
            {"due_at": {"$lte": at}, "leased_until": {"$lte": at}, **at_stage},
            {"$set": {"lease": new_id(), "leased_until": at + lease}},
            sort=[("due_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(raw) if raw else None

    async def hold(self, lease: timedelta) -> None:
        """Go on working on it, unless another node does by now."""
        await rows(type(self)).update_one(self._mine, {"$set": {"leased_until": now() + lease}})

    async def let_go(self, pause: timedelta = timedelta(0)) -> None:
        """Let the next one work on it, after a pause."""
        await rows(type(self)).update_one(
            self._mine, {"$set": {"lease": None, "leased_until": now() + pause}}
        )

    async def advance(self, stage: Stage, due_at: datetime, *, keep: bool = False) -> bool:
        """Come to the next stage, unless somebody has changed it; let go of it unless told to `keep` it."""
        change: Raw = {"stage": stage, "due_at": due_at, **({} if keep else _FREE)}
        unchanged = {**self._mine, "stage": self.stage, "round": self.round}
        if (await rows(type(self)).update_one(unchanged, {"$set": change})).matched_count == 0:
            return False
        self.stage = stage
        return True

    async def finish(self) -> bool:
        """Forget that there was one."""
        unchanged = {**self._mine, "stage": self.stage, "round": self.round}
        return (await rows(type(self)).delete_one(unchanged)).deleted_count == 1

    @property
    def _mine(self) -> Raw:
        return {"_id": self.id, "lease": self.lease}


async def _transaction(by: str, user_id: Id, work: Callable[[AsyncClientSession, Note], Awaitable[T]]) -> T:
    """Run `work` in a transaction; what somebody does to another person leaves an audit row."""
    if by != user_id:
        return await AdminAudit.turn(
            lambda turn: work(turn.session, lambda action: turn.note(by, action, user_id))
        )

    async def silently(session: AsyncClientSession) -> T:
        return await work(session, _nothing)

    async with rows(User).database.client.start_session() as session:
        return await session.with_transaction(silently)


async def _nothing(_: str) -> None:
    """What one does to oneself is nobody's business."""
