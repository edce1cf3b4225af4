"""A person. One document serves all three apps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

Privacy = Literal["public", "friends", "private"]
Skill = Literal["BEGINNER", "INTERMEDIATE", "ADVANCED", "EXPERT"]
Standing = Literal["active", "pending", "rejected", "banned"]
Decision = Literal["approve", "reject"]

COUNTED = 10_000
"""A longer list says that it is this long: counting has to end."""

_CALLER = {
    "is_approved": 1,
    "rejected": 1,
    "is_banned": 1,
    "is_admin": 1,
    "handle": 1,
    "settings.privacy": 1,
}
_UNDECIDED: Raw = {"is_approved": False, "rejected": False}


@dataclass(frozen=True, slots=True)
class Caller:
    """What every request asks of the database about who makes it."""

    handle: str
    standing: Standing
    is_admin: bool
    privacy: Privacy


class UserSettings(BaseModel):
    """What a person has chosen about themselves."""

    privacy: Privacy = "public"
    notifications: bool = True
    dark_mode: bool = False


class User(Document):
    """A person. `handle` is their one name in links and mentions, also called username.

    `revision` counts profile changes; whoever changes a profile says which one they have seen.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    email: str | None = None
    email_key: str | None = None
    handle: str
    handle_key: str
    handle_skeleton: str
    handle_changed_at: datetime | None = None
    name: str
    password_hash: str
    is_admin: bool = False
    is_approved: bool = True
    is_banned: bool = False
    rejected: bool = False
    is_certified: bool = False
    avatar: str | None = None
    cover_photo: str | None = None
    bio: str = ""
    location: str = ""
    website: str = ""
    settings: UserSettings = Field(default_factory=UserSettings)
    invisible: bool = False
    full_name: str = ""
    university: str = ""
    degree: str = ""
    year: str = ""
    interests: list[str] = Field(default_factory=list[str])
    skills: dict[str, Skill] = Field(default_factory=dict[str, Skill])
    auto_invite_enabled: bool = True
    preferred_radius: float = 10.0
    vibe_score: int = 0
    streak: int = 0
    streak_day: str | None = None
    created_at: datetime = Field(default_factory=now)
    last_active: datetime = Field(default_factory=now)
    revision: int = 0
    search_text: str = ""
    search_grams: list[str] = Field(default_factory=list[str])

    class Settings:
        name = "users"
        indexes: ClassVar = [
            IndexModel(
                [("email_key", ASCENDING)],
                unique=True,
                partialFilterExpression={"email_key": {"$type": "string"}},
            ),
            IndexModel([("handle_key", ASCENDING)], unique=True),
            IndexModel([("handle_skeleton", ASCENDING)], unique=True),
            IndexModel([("search_grams", ASCENDING), ("handle_key", ASCENDING)]),
            IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel(
                [("is_approved", ASCENDING), ("rejected", ASCENDING), ("created_at", ASCENDING), ("_id", 1)]
            ),
        ]

    @property
    def username(self) -> str:
        return self.handle

    @property
    def privacy(self) -> Privacy:
        return self.settings.privacy

    @property
    def standing(self) -> Standing:
        """Whether they may take part, and if not, why."""
        return _standing(is_banned=self.is_banned, rejected=self.rejected, is_approved=self.is_approved)

    # -- being made and found

    async def add(self) -> bool:
        """Store a new person; False when the e-mail address or the handle is taken."""
        try:
            await rows(type(self)).insert_one(self.model_dump(by_alias=True))
        except DuplicateKeyError:
            return False
        return True

    @classmethod
    async def find_by(cls, field: Literal["_id", "email_key", "handle_key"], value: str) -> "User | None":
        raw = await rows(cls).find_one({field: value})
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def many(cls, ids: Iterable[Id]) -> dict[Id, "User"]:
        """The active people among `ids`."""
        found = rows(cls).find({"_id": {"$in": list(ids)}, **_ACTIVE})
        return {raw["_id"]: cls.model_validate(raw) for raw in await found.to_list()}

    @classmethod
    async def privacy_of(cls, ids: Iterable[Id]) -> dict[Id, Privacy]:
        """Who the active people among `ids` are visible to."""
        found = rows(cls).find({"_id": {"$in": list(ids)}, **_ACTIVE}, {"settings.privacy": 1})
        return {raw["_id"]: raw["settings"]["privacy"] for raw in await found.to_list()}

    @classmethod
    async def caller(cls, user_id: Id) -> Caller | None:
        """What a request asks of its caller."""
        raw = await rows(cls).find_one({"_id": user_id}, _CALLER)
        return _caller(raw) if raw is not None else None

    @classmethod
    async def callers(cls, user_ids: Sequence[Id]) -> dict[Id, Caller]:
        """The same of many."""
        found = rows(cls).find({"_id": {"$in": list(user_ids)}}, _CALLER)
        return {raw["_id"]: _caller(raw) for raw in await found.to_list()}

    @classmethod
    async def has_password(cls, user_id: Id, password_hash: str) -> bool:
        where = {"_id": user_id, "password_hash": password_hash}
        return await rows(cls).find_one(where, {"_id": 1}) is not None

    # -- being changed

    @classmethod
    async def set_password(cls, user_id: Id, password_hash: str, *, instead_of: str | None = None) -> bool:
        """Keep a new hash; with `instead_of` only while that is still the one kept."""
        where = {"_id": user_id, **({"password_hash": instead_of} if instead_of else {})}
        result = await rows(cls).update_one(where, {"$set": {"password_hash": password_hash}})
        return result.matched_count == 1

    @classmethod
    async def change(cls, user_id: Id, seen: int, changes: Raw) -> "User | Literal['taken', 'stale']":
        """Write profile fields if nobody has since revision `seen`; `taken` when the handle is."""
        try:
            raw = await rows(cls).find_one_and_update(
                {"_id": user_id, "revision": seen},
                {"$set": changes, "$inc": {"revision": 1}},
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return "taken"
        return cls.model_validate(raw) if raw else "stale"

    @classmethod
    async def set_invisible(cls, user_id: Id, invisible: bool) -> None:
        await rows(cls).update_one({"_id": user_id}, {"$set": {"invisible": invisible}})

    @classmethod
    async def seen(cls, user_id: Id, at: datetime) -> None:
        """Note that somebody is there; the clock only moves forward."""
        await rows(cls).update_one({"_id": user_id}, {"$max": {"last_active": at}})

    @classmethod
    async def credit(cls, user_id: Id, points: int, today: str, yesterday: str) -> None:
        """Add points, and count today into the streak."""
        goes_on = {"$cond": [{"$eq": ["$streak_day", yesterday]}, {"$add": ["$streak", 1]}, 1]}
        later: Raw = {"$gte": [{"$ifNull": ["$streak_day", ""]}, today]}
        await rows(cls).update_one(
            {"_id": user_id},
            [
                {
                    "$set": {
                        "vibe_score": {"$add": ["$vibe_score", points]},
                        "streak": {"$cond": [later, "$streak", goes_on]},
                        "streak_day": {"$cond": [later, "$streak_day", today]},
                    }
                }
            ],
        )

    # -- being listed

    @classmethod
    async def search(
        cls, grams: Sequence[str], words: Sequence[str], hidden: Iterable[Id], window: "Window"
    ) -> "Listed":
        """Active people who have all `grams` and whose text holds every one of `words`, by handle."""
        held: list[Raw] = [{"$gte": [{"$indexOfCP": ["$search_text", word]}, 0]} for word in words]
        where: Raw = {"search_grams": {"$all": list(grams)}, "_id": {"$nin": list(hidden)}, **_ACTIVE}
        if held:
            where["$expr"] = {"$and": held}
        return await cls._page(where, [("handle_key", ASCENDING)], window)

    @classmethod
    async def listed(cls, window: "Window", *, pending: bool = False) -> "Listed":
        """Everybody, newest first; or those who wait for a decision, in the order they came."""
        if pending:
            where = {**_UNDECIDED, "is_banned": False}
            return await cls._page(where, [("created_at", ASCENDING), ("_id", ASCENDING)], window)
        return await cls._page({}, [("created_at", DESCENDING), ("_id", DESCENDING)], window)

    @classmethod
    async def _page(cls, where: Raw, order: list[tuple[str, int]], window: "Window") -> "Listed":
        users = rows(cls)
        total = await users.count_documents(where, limit=COUNTED)
        rest = {"$and": [where, _behind(order, window.after)]} if window.after else where
        cursor = users.find(rest).sort(order).skip(0 if window.after else window.skip)
        found = [cls.model_validate(raw) async for raw in cursor.limit(window.limit + 1)]
        return Listed(found[: window.limit], total, len(found) > window.limit)


def _caller(raw: Raw) -> Caller:
    standing = _standing(is_banned=raw["is_banned"], rejected=raw["rejected"], is_approved=raw["is_approved"])
    return Caller(raw["handle"], standing, raw["is_admin"], raw["settings"]["privacy"])


def _standing(*, is_banned: bool, rejected: bool, is_approved: bool) -> Standing:
    if is_banned:
        return "banned"
    if rejected:
        return "rejected"
    return "active" if is_approved else "pending"


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for: behind the sort values of a row, or after skipping some."""

    limit: int = 20
    skip: int = 0
    after: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A part of a list, how long the whole is, and whether more follows."""

    users: Sequence[User]
    total: int
    more: bool


_ACTIVE: Raw = {"is_approved": True, "rejected": False, "is_banned": False}


def _behind(order: list[tuple[str, int]], after: Sequence[Any]) -> Raw:
    """What sorts after the values `after` of the sort fields."""
    options: list[Raw] = []
    for index, (field, direction) in enumerate(order):
        same = {name: after[i] for i, (name, _) in enumerate(order[:index])}
        options.append({**same, field: {"$gt" if direction == ASCENDING else "$lt": after[index]}})
    return {"$or": options}
