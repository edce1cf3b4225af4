"""The ledger of what people earned points for. Score and streak are what it adds up to."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal, TypeVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.accounts.users import User
from documents.rows import rows

T = TypeVar("T")

Outcome = Literal["added", "known", "full", "absent"]
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Tally:
    """What a ledger adds up to: all points, and the days in a row up to the last one."""

    score: int = 0
    streak: int = 0
    streak_day: str | None = None

    def plus(self, points: int, day: str) -> "Tally | None":
        """With one more entry; None when it is of an earlier day, and only the ledger can say."""
        score, last = self.score + points, self.streak_day
        if last is None or day > last:
            return Tally(score, self.streak + 1 if last == day_before(day) else 1, day)
        return Tally(score, self.streak, last) if day == last else None


class Activity(Document):
    """One thing that earned points. `slot` numbers a kind's entries of a day: a cap cannot be passed."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    kind: str
    cause: str
    day: str
    slot: int = 0
    points: int
    at: datetime = Field(default_factory=now)

    class Settings:
        name = "activities"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING), ("cause", ASCENDING)], unique=True),
            IndexModel(
                [("user_id", ASCENDING), ("day", ASCENDING), ("kind", ASCENDING), ("slot", ASCENDING)],
                unique=True,
            ),
        ]

    async def is_known(self) -> bool:
        """Whether its cause has counted before."""
        where = {"user_id": self.user_id, "cause": self.cause}
        return await rows(Activity).find_one(where, {"_id": 1}) is not None

    async def add(self, cap: int) -> Outcome:
        """Store it in the day's next free slot below `cap`, once for its cause, and credit it.

        Entry and credit are one transaction: what people have never differs from what the ledger says.
        """
        for _ in range(_ATTEMPTS):
            if await self.is_known():
                return "known"
            try:
                return await _transaction(lambda session: self._add(cap, session))
            except DuplicateKeyError:  # somebody else's entry has this slot, or is for this cause
                continue
        raise TimeoutError

    async def _add(self, cap: int, session: AsyncClientSession) -> Outcome:
        of_day = {"user_id": self.user_id, "day": self.day, "kind": self.kind}
        entries = rows(Activity)
        self.slot = await entries.count_documents(of_day, limit=cap, session=session)
        if self.slot >= cap:
            return "full"
        kept = await _kept(self.user_id, session)
        if kept is None:
            return "absent"
        await entries.insert_one(self.model_dump(by_alias=True), session=session)
        found = kept.plus(self.points, self.day)
        if found is None:
            streak, last = run_of(await _days(self.user_id, session))
            found = Tally(kept.score + self.points, streak, last)
        await _keep(self.user_id, found, session)
        return "added"

    @classmethod
    async def recount(cls, user_id: Id) -> tuple[Tally, Tally] | None:
        """Make somebody's score and streak what the ledger says; both as they were and as they are."""

        async def work(session: AsyncClientSession) -> tuple[Tally, Tally] | None:
            kept = await _kept(user_id, session)
            if kept is None:
                return None
            streak, last = run_of(await _days(user_id, session))
            true = Tally(await _points(user_id, session), streak, last)
            if true != kept:
                await _keep(user_id, true, session)
            return kept, true

        return await _transaction(work)


def day_before(text: str) -> str:
    return (date.fromisoformat(text) - timedelta(days=1)).isoformat()


def run_of(days: Collection[str]) -> tuple[int, str | None]:
    """How many days in a row end with the last of these, and which that is."""
    if not days:
        return 0, None
    last = day = max(days)
    known, length = set(days), 0
    while day in known:
        length, day = length + 1, day_before(day)
    return length, last


async def _transaction(work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    async with rows(Activity).database.client.start_session() as session:
        return await session.with_transaction(work)


async def _kept(user_id: Id, session: AsyncClientSession) -> Tally | None:
    fields = {"vibe_score": 1, "streak": 1, "streak_day": 1}
    raw = await rows(User).find_one({"_id": user_id}, fields, session=session)
    return Tally(raw["vibe_score"], raw["streak"], raw["streak_day"]) if raw is not None else None


async def _keep(user_id: Id, found: Tally, session: AsyncClientSession) -> None:
    change = {"vibe_score": found.score, "streak": found.streak, "streak_day": found.streak_day}
    await rows(User).update_one({"_id": user_id}, {"$set": change}, session=session)


async def _days(user_id: Id, session: AsyncClientSession) -> list[str]:
    return await rows(Activity).distinct("day", {"user_id": user_id}, session=session)


async def _points(user_id: Id, session: AsyncClientSession) -> int:
    pipeline: list[dict[str, Any]] = [
        {"$match": {"user_id": user_id}},
        {"$group": {"_id": None, "points": {"$sum": "$points"}}},
    ]
    found = await (await rows(Activity).aggregate(pipeline, session=session)).to_list()
    return found[0]["points"] if found else 0
