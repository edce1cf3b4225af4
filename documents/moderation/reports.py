"""Reports: who says what about what, and how it was when they said so."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, derived_id, new_id
from documents.rows import Raw, rows

ReportState = Literal["open", "resolved", "dismissed"]
Mark = tuple[datetime, Id]
"""Where a list goes on: the time and the id of the last row shown."""

Taken = DuplicateKeyError
"""Raised when somebody was first: the transaction is over, and what they made is there."""

_KEPT = timedelta(days=2)


class Report(Document):
    """One person's report. `evidence` is how the target was at that moment; it never changes.

    It is kept until it is decided on and `expires_at` after that.

    An appeal is a report on a sanction by whom it is against.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    case_id: Id
    reporter: Id
    target_type: str
    target_id: Id
    reason: str
    text: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict[str, Any])
    state: ReportState = "open"
    created_at: datetime = Field(default_factory=now)
    decided_at: datetime | None = None
    expires_at: datetime | None = None

    class Settings:
        name = "reports"
        indexes: ClassVar = [
            IndexModel(
                [("reporter", ASCENDING), ("target_type", ASCENDING), ("target_id", ASCENDING)],
                name="one_open_report",
                unique=True,
                partialFilterExpression={"state": "open"},
            ),
            IndexModel([("reporter", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("case_id", ASCENDING), ("created_at", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
        ]

    async def add(self, session: AsyncClientSession) -> None:
        """Store it; `Taken` when this person has an open one about the same."""
        await rows(type(self)).insert_one(self.model_dump(by_alias=True), session=session)

    @classmethod
    async def open_of(cls, reporter: Id, target_type: str, target_id: Id) -> "Report | None":
        """A person's report about something that is not decided on yet."""
        target = {"target_type": target_type, "target_id": target_id}
        raw = await rows(cls).find_one({"reporter": reporter, "state": "open", **target})
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def open_among(cls, reporter: Id, target_type: str, target_ids: Sequence[Id]) -> set[Id]:
        """Those of these targets about which this person has an open report."""
        targets = {"target_type": target_type, "target_id": {"$in": list(target_ids)}}
        found = rows(cls).find({"reporter": reporter, "state": "open", **targets}, {"target_id": 1})
        return {raw["target_id"] async for raw in found}

    @classmethod
    async def decide(
        cls, case_id: Id, state: ReportState, kept: timedelta, session: AsyncClientSession
    ) -> None:
        """All reports of a case are decided on with it, and kept for so long."""
        at = now()
        change = {"$set": {"state": state, "decided_at": at, "expires_at": at + kept}}
        await rows(cls).update_many({"case_id": case_id, "state": "open"}, change, session=session)

    @classmethod
    async def of_case(cls, case_id: Id, limit: int) -> list["Report"]:
        """The reports of a case in the order in which they came."""
        found = rows(cls).find({"case_id": case_id}).sort([("created_at", ASCENDING), ("_id", ASCENDING)])
        return [cls.model_validate(raw) async for raw in found.limit(limit)]

    @classmethod
    async def page(
        cls, reporter: Id, only: Raw, limit: int, *, before: Mark | None = None, skip: int = 0
    ) -> Sequence["Report"]:
        """A person's reports, newest first, without what they show."""
        where: list[Raw] = [{"reporter": reporter, **only}]
        if before is not None:
            moment, last = before
            older = [{"created_at": {"$lt": moment}}, {"created_at": moment, "_id": {"$lt": last}}]
            where.append({"$or": older})
        found = rows(cls).find({"$and": where}, {"evidence": 0})
        ordered = found.sort([("created_at", DESCENDING), ("_id", DESCENDING)]).skip(skip).limit(limit)
        return [cls.model_validate(raw) async for raw in ordered]

    @classmethod
    async def count_of(cls, reporter: Id, only: Raw) -> int:
        return await rows(cls).count_documents({"reporter": reporter, **only})


class ReportCount(Document):
    """How many reports somebody has made on a day. They are counted before they are made."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    made: int = 0
    expires_at: datetime

    class Settings:
        name = "report_counts"
        indexes: ClassVar = [IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0)]

    @staticmethod
    def _id(reporter: Id, day: str) -> Id:
        return derived_id("reports", reporter, day)

    @classmethod
    async def take(cls, reporter: Id, day: str, most: int) -> bool:
        """Count one more; False when that would be too many."""
        key = cls._id(reporter, day)
        for _ in range(2):
            try:
                await rows(cls).find_one_and_update(
                    {"_id": key, "made": {"$lt": most}},
                    {"$inc": {"made": 1}, "$setOnInsert": {"expires_at": now() + _KEPT}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # it is there: full, or made by somebody else just now
                continue
            return True
        return False

    @classmethod
    async def give_back(cls, reporter: Id, day: str) -> None:
        """One that was counted was not made."""
        await rows(cls).update_one({"_id": cls._id(reporter, day)}, {"$inc": {"made": -1}})
