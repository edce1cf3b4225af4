"""What moderators take from people, each time one document; what holds now stands with the person, too."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.accounts.logins import LoginSession
from documents.accounts.standing import FLAGS, Restriction, under
from documents.accounts.users import User
from documents.rows import Raw, rows

Action = Literal["warn", "mute", "limit", "ban"]
State = Literal["standing", "reversed"]
Until = datetime | None
"""When something ends; None: never."""


class Sanction(Document):
    """One action against one person. It ends at `until`, or when it is reversed: once.

    `case_id` is the reports that led to it; `told`: the person knows of it as it is now.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    action: Action
    reason: str
    note: str = ""
    case_id: Id | None = None
    issued_by: str
    issued_at: datetime = Field(default_factory=now)
    until: datetime | None = None
    state: State = "standing"
    reversed_by: str | None = None
    reversed_at: datetime | None = None
    reversed_why: str = ""
    appeals: int = 0
    told: bool = False

    class Settings:
        name = "sanctions"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING), ("issued_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("issued_at", ASCENDING)], name="untold", partialFilterExpression={"told": False}),
        ]

    @property
    def holds(self) -> bool:
        """Whether it is in force now. A warning is said, and that is all there is to it."""
        return self.state == "standing" and (self.until is None or self.until > now())

    # -- changing, always within a turn at the audit log

    async def impose(self, session: AsyncClientSession) -> Literal["done", "absent", "staff"]:
        """Store it and let it take effect; nobody with a role can be sanctioned."""
        where = {"_id": self.user_id}
        person = await rows(User).find_one(where, {"is_admin": 1, "is_moderator": 1}, session=session)
        if person is None:
            return "absent"
        if person["is_admin"] or person.get("is_moderator"):
            return "staff"
        await rows(Sanction).insert_one(self.model_dump(by_alias=True), session=session)
        await _settle(self.user_id, session)
        if self.action == "ban":
            await LoginSession.revoke_all(self.user_id, "banned", session=session)
        return "done"

    @classmethod
    async def reverse(
        cls, sanction_id: Id, by: str, why: str, session: AsyncClientSession
    ) -> "Sanction | None":
        """Take it back, also when it has ended; None when somebody has."""
        raw = await rows(cls).find_one_and_update(
            {"_id": sanction_id, "state": "standing"},
            {
                "$set": {
                    "state": "reversed",
                    "reversed_by": by,
                    "reversed_at": now(),
                    "reversed_why": why,
                    "told": False,
                }
            },
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if raw is None:
            return None
        sanction = cls.model_validate(raw)
        await _settle(sanction.user_id, session)
        return sanction

    @classmethod
    async def count_appeal(cls, sanction_id: Id, number: int, session: AsyncClientSession) -> bool:
        """Take the next turn at appealing; False when it is not that number's, or nothing holds any more."""
        where = {"_id": sanction_id, "state": "standing", "appeals": number}
        result = await rows(cls).update_one(where, {"$inc": {"appeals": 1}}, session=session)
        return result.matched_count == 1

    @classmethod
    async def mark_told(cls, sanction: "Sanction") -> None:
        """The person knows of it as it is now."""
        where = {"_id": sanction.id, "state": sanction.state}
        await rows(cls).update_one(where, {"$set": {"told": True}})

    # -- finding

    @classmethod
    async def by_id(cls, sanction_id: Id, session: AsyncClientSession | None = None) -> "Sanction | None":
        raw = await rows(cls).find_one({"_id": sanction_id}, session=session)
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def of(cls, user_id: Id, limit: int) -> list["Sanction"]:
        """What was done about a person, the newest first."""
        found = rows(cls).find({"user_id": user_id}).sort([("issued_at", DESCENDING), ("_id", DESCENDING)])
        return [cls.model_validate(raw) async for raw in found.limit(limit)]

    @classmethod
    async def in_force(cls, user_id: Id, action: Action) -> list["Sanction"]:
        """What of one kind holds now, that which lasts longest first."""
        where = {"user_id": user_id, "action": action, "state": "standing"}
        found = [cls.model_validate(raw) async for raw in rows(cls).find(where)]
        return sorted((one for one in found if one.holds), key=_end, reverse=True)

    @classmethod
    async def untold(cls, before: datetime, limit: int) -> list["Sanction"]:
        """Those of which nobody has told the person, though it was time to."""
        found = rows(cls).find({"told": False, "issued_at": {"$lt": before}}).sort("issued_at", ASCENDING)
        return [cls.model_validate(raw) async for raw in found.limit(limit)]


class MutedPeople:
    """Who is muted, for what has to know of everybody."""

    @staticmethod
    async def changed_since(since: datetime | None) -> Mapping[Id, Until | Literal[False]]:
        """Until when those are muted whose restrictions have changed since then; False: not at all."""
        fields = {"is_muted": 1, "muted_until": 1}
        if since is None:
            where: Raw = under("mute")
        else:  # without the type, the partial index is not used
            where = {"restricted_at": {"$gte": since, "$type": "date"}}
        found = rows(User).find(where, fields)
        return {raw["_id"]: raw["muted_until"] if raw["is_muted"] else False async for raw in found}


async def _settle(user_id: Id, session: AsyncClientSession) -> None:
    """Write with the person what holds now, of all that was done about them."""
    where = {"user_id": user_id, "state": "standing", "action": {"$in": list(FLAGS)}}
    ends: dict[Restriction, list[Until]] = {restriction: [] for restriction in FLAGS}
    async for raw in rows(Sanction).find(where, {"action": 1, "until": 1}, session=session):
        if raw["until"] is None or raw["until"] > now():
            ends[raw["action"]].append(raw["until"])
    change: Raw = {"restricted_at": now()}
    for restriction, (flag, end) in FLAGS.items():
        change |= {flag: bool(ends[restriction]), end: _last(ends[restriction])}
    await rows(User).update_one({"_id": user_id}, {"$set": change}, session=session)


def _end(sanction: Sanction) -> float:
    return sanction.until.timestamp() if sanction.until is not None else float("inf")


def _last(ends: Sequence[Until]) -> Until:
    """The last of these; what never ends is the last of all."""
    named = [end for end in ends if end is not None]
    return max(named) if named and len(named) == len(ends) else None
