"""Cases: what is reported, once, however many report it; it waits in the queue until it is decided on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.moderation.reports import ReportState
from documents.rows import Raw, rows

Order = Literal["oldest", "reporters"]
Outcome = Literal["none", "warn", "mute", "limit", "ban", "accept", "reject"]
Caught = Literal["gone", "claimed", "decided"]
"""Why a case cannot be had: it is not there, somebody else has it, it was decided on."""

COUNTED = 10_000


class Case(Document):
    """Everything reported about one target since the last decision on it. One of them at most is open.

    `subject_id` is whose doing it is; they never decide on it, nor hear of it. Who has claimed it has it for
    themselves until `claimed_until`.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    target_type: str
    target_id: Id
    subject_id: Id
    state: ReportState = "open"
    reporters: int = 0
    reasons: dict[str, int] = Field(default_factory=dict[str, int])
    first_at: datetime = Field(default_factory=now)
    last_at: datetime = Field(default_factory=now)
    claimed_by: Id | None = None
    claimed_until: datetime | None = None
    decided_by: Id | None = None
    decided_at: datetime | None = None
    outcome: Outcome | None = None
    sanction_id: Id | None = None
    note: str = ""

    class Settings:
        name = "cases"
        indexes: ClassVar = [
            IndexModel(
                [("target_type", ASCENDING), ("target_id", ASCENDING)],
                name="one_open_case",
                unique=True,
                partialFilterExpression={"state": "open"},
            ),
            IndexModel([("state", ASCENDING), ("first_at", ASCENDING), ("_id", ASCENDING)]),
            IndexModel(
                [("state", ASCENDING), ("reporters", DESCENDING), ("first_at", ASCENDING), ("_id", ASCENDING)]
            ),
            IndexModel([("subject_id", ASCENDING), ("first_at", DESCENDING), ("_id", DESCENDING)]),
        ]

    @property
    def holder(self) -> Id | None:
        """Who has it for themselves now."""
        held = self.claimed_until is not None and self.claimed_until > now()
        return self.claimed_by if held and self.state == "open" else None

    @classmethod
    async def join(
        cls, target: tuple[str, Id], subject: Id, reason: str, session: AsyncClientSession
    ) -> "Case":
        """The open case about a target with one more report; it is made when there is none.

        `Taken` when somebody else makes it just now.
        """
        target_type, target_id = target
        at = now()
        fresh = cls(target_type=target_type, target_id=target_id, subject_id=subject, first_at=at)
        counted = {"target_type", "target_id", "state", "reporters", "reasons", "last_at", "revision_id"}
        fields = fresh.model_dump(by_alias=True, exclude=counted)
        raw = await rows(cls).find_one_and_update(
            {"target_type": target_type, "target_id": target_id, "state": "open"},
            {
                "$inc": {"reporters": 1, f"reasons.{reason}": 1},
                "$max": {"last_at": at},
                "$setOnInsert": fields,
            },
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return cls.model_validate(raw)

    # -- being worked on

    @classmethod
    async def claim(cls, case_id: Id, claim: "Claim", session: AsyncClientSession) -> "Case | Caught":
        """Have a case for oneself for a while; claiming it again lasts longer."""
        change = {"claimed_by": claim.by, "claimed_until": now() + claim.lifetime}
        return await cls._take(case_id, claim.by, change, session)

    @classmethod
    async def release(cls, case_id: Id, by: Id, session: AsyncClientSession) -> "Case | Caught":
        """Let others have it."""
        return await cls._take(case_id, by, {"claimed_by": None, "claimed_until": None}, session)

    @classmethod
    async def close(cls, case_id: Id, closing: "Closing", session: AsyncClientSession) -> "Case | Caught":
        """Decide on it: once, and not while somebody else has it."""
        change = {
            "state": closing.state,
            "decided_by": closing.by,
            "decided_at": now(),
            "outcome": closing.outcome,
            "sanction_id": closing.sanction_id,
            "note": closing.note,
            "claimed_by": None,
            "claimed_until": None,
        }
        return await cls._take(case_id, closing.by, change, session)

    @classmethod
    async def _take(cls, case_id: Id, by: Id, change: Raw, session: AsyncClientSession) -> "Case | Caught":
        """Change an open case that nobody else has claimed, and that is not about `by`."""
        free = [{"claimed_by": {"$in": [None, by]}}, {"claimed_until": {"$lte": now()}}]
        raw = await rows(cls).find_one_and_update(
            {"_id": case_id, "state": "open", "subject_id": {"$ne": by}, "$or": free},
            {"$set": change},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if raw is not None:
            return cls.model_validate(raw)
        found = await rows(cls).find_one({"_id": case_id}, session=session)
        if found is None or found["subject_id"] == by:
            return "gone"
        return "claimed" if found["state"] == "open" else "decided"

    # -- finding

    @classmethod
    async def by_id(cls, case_id: Id) -> "Case | None":
        raw = await rows(cls).find_one({"_id": case_id})
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def about(cls, subject_id: Id, limit: int) -> list["Case"]:
        """What was reported of somebody's doing, the newest first."""
        found = rows(cls).find({"subject_id": subject_id})
        ordered = found.sort([("first_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
        return [cls.model_validate(raw) async for raw in ordered]

    @classmethod
    async def page(cls, queue: "Queue", limit: int, skip: int = 0) -> tuple[Sequence["Case"], int]:
        """A part of the queue, and how long all of it is."""
        where = queue.condition()
        total = await rows(cls).count_documents(where, limit=COUNTED)
        found = rows(cls).find({"$and": [where, queue.behind()]})
        ordered = found.sort(queue.order()).skip(skip).limit(limit)
        return [cls.model_validate(raw) async for raw in ordered], total


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants a case for themselves, and for how long."""

    by: Id
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Closing:
    """A decision on a case."""

    by: Id
    state: ReportState
    outcome: Outcome
    note: str
    sanction_id: Id | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """Which cases are asked for, without those about who asks; `after`: behind which one."""

    viewer: Id
    state: ReportState = "open"
    target_type: str | None = None
    reason: str | None = None
    sort: Order = "oldest"
    after: "tuple[int, datetime, Id] | None" = None

    def condition(self) -> Raw:
        where: Raw = {"state": self.state, "subject_id": {"$ne": self.viewer}}
        if self.target_type is not None:
            where["target_type"] = self.target_type
        if self.reason is not None:
            where[f"reasons.{self.reason}"] = {"$gt": 0}
        return where

    def order(self) -> list[tuple[str, int]]:
        first = [("first_at", ASCENDING), ("_id", ASCENDING)]
        return [("reporters", DESCENDING), *first] if self.sort == "reporters" else first

    def behind(self) -> Raw:
        """What comes after the last case shown."""
        if self.after is None:
            return {}
        reporters, moment, last = self.after
        later = [{"first_at": {"$gt": moment}}, {"first_at": moment, "_id": {"$gt": last}}]
        if self.sort == "oldest":
            return {"$or": later}
        return {"$or": [{"reporters": {"$lt": reporters}}, {"reporters": reporters, "$or": later}]}
