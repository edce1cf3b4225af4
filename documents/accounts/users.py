"""A person. One document serves all three apps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, cast

from beanie import Document
from pydantic import BaseModel, Field, field_validator
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.accounts.choices import Privacy, UserSettings
from documents.accounts.leaving import Leaving
from documents.accounts.names import HeldHandle, claims_of, held_then
from documents.accounts.standing import CALLER, Caller, Standing, active, free_of, standing_of
from documents.rows import Raw, rows

Skill = Literal["BEGINNER", "INTERMEDIATE", "ADVANCED", "EXPERT"]
Decision = Literal["approve", "reject"]

COUNTED = 10_000
"""A longer list says that it is this long: counting has to end."""


class SkillLevel(BaseModel):
    """A skill by its name, which may hold whatever names of skills hold, and how well somebody has it."""

    name: str
    level: Skill


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
    handle_claims: list[str] = Field(default_factory=list[str])
    held_handles: list[HeldHandle] = Field(default_factory=list[HeldHandle])
    name: str
    password_hash: str
    is_admin: bool = False
    is_moderator: bool = False
    is_approved: bool = True
    rejected: bool = False
    is_banned: bool = False
    banned_until: datetime | None = None
    is_muted: bool = False
    muted_until: datetime | None = None
    is_limited: bool = False
    limited_until: datetime | None = None
    restricted_at: datetime | None = None
    leaving: Leaving | None = None
    guards: int = 0
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
    skills: list[SkillLevel] = Field(default_factory=list[SkillLevel])
    auto_invite_enabled: bool = True
    preferred_radius: float = 10.0
    vibe_score: int = 0
    streak: int = 0
    streak_day: str | None = None
    created_at: datetime = Field(default_factory=now)
    last_active: datetime = Field(default_factory=now)
    revision: int = 0
    search_handle: str = ""
    search_name: str = ""
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
            IndexModel(
                [("handle_claims", ASCENDING)],
                unique=True,
                partialFilterExpression={"handle_claims": {"$gt": ""}},
            ),
            IndexModel([("search_grams", ASCENDING), ("handle_key", ASCENDING)]),
            IndexModel([("search_handle", ASCENDING), ("handle_key", ASCENDING)]),
            IndexModel([("search_name", ASCENDING), ("handle_key", ASCENDING)]),
            IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel(
                [("is_approved", ASCENDING), ("rejected", ASCENDING), ("created_at", ASCENDING), ("_id", 1)]
            ),
            *(
                IndexModel([(field, ASCENDING)], partialFilterExpression={field: {"$type": "date"}})
                for field in ("restricted_at", "leaving.deletes_at")
            ),
            *(
                IndexModel([(role, ASCENDING)], partialFilterExpression={role: True})
                for role in ("is_admin", "is_moderator")
            ),
        ]

    @field_validator("skills", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        """They were stored by name once."""
        if not isinstance(value, dict):
            return value
        named = cast("dict[str, Any]", value)
        return [{"name": name, "level": level} for name, level in named.items()]

    @property
    def username(self) -> str:
        return self.handle

    @property
    def privacy(self) -> Privacy:
        return self.settings.privacy

    @property
    def standing(self) -> Standing:
        """Whether they may take part, and if not, why."""
        return standing_of(vars(self))

    # -- being made and found

    async def add(self) -> bool:
        """Store a new person; False when the e-mail address or the handle is taken."""
        self.handle_claims = claims_of(self.handle_key, self.handle_skeleton)
        for is_last in (False, True):
            try:
                await rows(type(self)).insert_one(self.model_dump(by_alias=True))
            except DuplicateKeyError:
                if is_last or not await self._let_go(self.handle_claims):
                    return False
            else:
                return True
        return False

    @classmethod
    async def find_by(cls, field: Literal["_id", "email_key", "handle_key"], value: str) -> "User | None":
        # The type is said for the sake of the partial index on addresses, which is not used without it.
        raw = await rows(cls).find_one({field: {"$eq": value, "$type": "string"}})
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def many(cls, ids: Iterable[Id]) -> dict[Id, "User"]:
        """The active people among `ids`."""
        found = rows(cls).find({"_id": {"$in": list(ids)}, **active()})
        return {raw["_id"]: cls.model_validate(raw) for raw in await found.to_list()}

    @classmethod
    async def caller(cls, user_id: Id) -> Caller | None:
        """What a request asks of its caller."""
        raw = await rows(cls).find_one({"_id": user_id}, CALLER)
        return Caller.of(raw) if raw is not None else None

    @classmethod
    async def callers(cls, user_ids: Sequence[Id]) -> dict[Id, Caller]:
        """The same of many."""
        found = rows(cls).find({"_id": {"$in": list(user_ids)}}, CALLER)
        return {raw["_id"]: Caller.of(raw) for raw in await found.to_list()}

    @classmethod
    async def callers_beside(
        cls, user_ids: Sequence[Id], other: type[Document], where: Raw
    ) -> tuple[dict[Id, Caller], list[Raw]]:
        """The same, and by the same query what another collection has."""
        beside = {"coll": rows(other).name, "pipeline": [{"$match": where}]}
        found = await rows(cls).aggregate(
            [{"$match": {"_id": {"$in": list(user_ids)}}}, {"$project": CALLER}, {"$unionWith": beside}]
        )
        people: dict[Id, Caller] = {}
        others: list[Raw] = []
        for raw in await found.to_list():
            if "handle" in raw:
                people[raw["_id"]] = Caller.of(raw)
            else:
                others.append(raw)
        return people, others

    @classmethod
    async def has_password(cls, user_id: Id, password_hash: str) -> bool:
        where = {"_id": user_id, "password_hash": password_hash, "leaving": None, **free_of("ban")}
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
        for is_last in (False, True):
            try:
                raw = await rows(cls).find_one_and_update(
                    {"_id": user_id, "revision": seen},
                    {"$set": changes, "$inc": {"revision": 1}},
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                if is_last or not await cls._let_go(changes.get("handle_claims", ())):
                    return "taken"
            else:
                return cls.model_validate(raw) if raw else "stale"
        return "taken"

    @classmethod
    async def _let_go(cls, claims: Sequence[str]) -> bool:
        """Free what others held and hold no longer of these claims to a handle; whether there was any."""
        at = now()
        held = {"handle_claims": {"$in": list(claims)}, "held_handles.until": {"$lte": at}}
        result = await rows(cls).update_many(held, held_then(at))
        return result.modified_count > 0

    @classmethod
    async def set_invisible(cls, user_id: Id, invisible: bool) -> None:
        await rows(cls).update_one({"_id": user_id}, {"$set": {"invisible": invisible}})

    @classmethod
    async def seen(cls, user_id: Id, at: datetime) -> None:
        """Note that somebody is there; the clock only moves forward."""
        await rows(cls).update_one({"_id": user_id}, {"$max": {"last_active": at}})

    # -- being listed

    @classmethod
    async def ids_after(cls, last: Id, limit: int) -> list[Id]:
        """Everybody, a part at a time, whatever their standing."""
        found = rows(cls).find({"_id": {"$gt": last}}, {"_id": 1}).sort("_id", ASCENDING).limit(limit)
        return [raw["_id"] for raw in await found.to_list()]

    @classmethod
    async def listed(cls, where: Raw, window: "Window", *, oldest_first: bool = False) -> "Listed":
        """Those who fit, newest first unless told otherwise."""
        direction = ASCENDING if oldest_first else DESCENDING
        return await cls._page(where, [("created_at", direction), ("_id", direction)], window)

    @classmethod
    async def _page(cls, where: Raw, order: list[tuple[str, int]], window: "Window") -> "Listed":
        users = rows(cls)
        total = await users.count_documents(where, limit=COUNTED)
        rest = {"$and": [where, _behind(order, window.after)]} if window.after else where
        cursor = users.find(rest).sort(order).skip(0 if window.after else window.skip)
        found = [cls.model_validate(raw) async for raw in cursor.limit(window.limit + 1)]
        return Listed(found[: window.limit], total, len(found) > window.limit)


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


def _behind(order: list[tuple[str, int]], after: Sequence[Any]) -> Raw:
    """What sorts after the values `after` of the sort fields."""
    options: list[Raw] = []
    for index, (field, direction) in enumerate(order):
        same = {name: after[i] for i, (name, _) in enumerate(order[:index])}
        options.append({**same, field: {"$gt" if direction == ASCENDING else "$lt": after[index]}})
    return {"$or": options}
