"""Log-ins: one document for each device somebody is logged in on, whatever tokens it has had."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

Why = Literal[
    "signed_out",
    "password_changed",
    "password_reset",
    "reuse_detected",
    "banned",
    "suspended",
    "leaving",
    "too_many",
]

_STATE = {"user_id": 1, "revoked_at": 1, "expires_at": 1, "last_used_at": 1}
KEPT = 100
"""Log-ins of one person that can be alive at once."""


class LoginSession(Document):
    """One log-in. Its id is the `sid` of its access tokens and names the family of its refresh tokens.

    `previous_hash` is the refresh token before the current one: for a moment after `rotated_at` it may be
    shown again, by a client that did not get the answer.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    refresh_hash: str
    previous_hash: str | None = None
    rotated_at: datetime = Field(default_factory=now)
    user_agent: str = ""
    address: str = ""
    created_at: datetime = Field(default_factory=now)
    last_used_at: datetime = Field(default_factory=now)
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_why: Why | None = None

    class Settings:
        name = "login_sessions"
        indexes: ClassVar = [
            IndexModel([("refresh_hash", ASCENDING)], unique=True),
            IndexModel([("previous_hash", ASCENDING)]),
            IndexModel([("user_id", ASCENDING), ("revoked_at", ASCENDING), ("last_used_at", DESCENDING)]),
            IndexModel([("user_id", ASCENDING), ("address", ASCENDING)]),
            IndexModel([("revoked_at", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
        ]

    async def add(self) -> None:
        await rows(type(self)).insert_one(self.model_dump(by_alias=True))

    @classmethod
    async def state_of(cls, login_id: Id) -> Raw | None:
        """What every request asks of the database."""
        return await rows(cls).find_one({"_id": login_id}, _STATE)

    @classmethod
    async def states_of(cls, login_ids: Sequence[Id]) -> dict[Id, Raw]:
        """The same of many."""
        found = rows(cls).find({"_id": {"$in": list(login_ids)}}, _STATE)
        return {raw["_id"]: raw for raw in await found.to_list()}

    @classmethod
    async def holding(cls, refresh_hash: str) -> "LoginSession | None":
        """The log-in whose current or last refresh token this is."""
        either = {"$or": [{"refresh_hash": refresh_hash}, {"previous_hash": refresh_hash}]}
        raw = await rows(cls).find_one(either)
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def rotate(cls, old: str, new: str, idle: timedelta, at: datetime) -> "LoginSession | None":
        """Put `new` in the place of `old`, if that is the current one of a living log-in: once."""
        raw = await rows(cls).find_one_and_update(
            {
                "refresh_hash": old,
                "revoked_at": None,
                "expires_at": {"$gt": at},
                "last_used_at": {"$gt": at - idle},
            },
            {"$set": {"refresh_hash": new, "previous_hash": old, "rotated_at": at, "last_used_at": at}},
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(raw) if raw else None

    @classmethod
    async def used(cls, login_id: Id, at: datetime) -> None:
        """Note that a log-in is in use."""
        await rows(cls).update_one({"_id": login_id}, {"$max": {"last_used_at": at}})

    @classmethod
    async def revoke(cls, login_id: Id, why: Why, *, of: Id | None = None) -> bool:
        """End a log-in; False when it has ended before or is not one of `of`."""
        where = {"_id": login_id, "revoked_at": None, **({"user_id": of} if of else {})}
        result = await rows(cls).update_one(where, {"$set": {"revoked_at": now(), "revoked_why": why}})
        return result.modified_count == 1

    @classmethod
    async def revoke_all(
        cls, user_id: Id, why: Why, *, but: Id | None = None, session: AsyncClientSession | None = None
    ) -> list[Id]:
        """End everything somebody is logged in on; the log-ins that ended now."""
        logins = rows(cls)
        where: Raw = {"user_id": user_id, "revoked_at": None, "_id": {"$ne": but}}
        alive = [raw["_id"] async for raw in logins.find(where, {"_id": 1}, session=session)]
        change = {"$set": {"revoked_at": now(), "revoked_why": why}}
        await logins.update_many(where, change, session=session)
        return alive

    @classmethod
    async def surplus(cls, user_id: Id) -> list[Id]:
        """Living log-ins beyond those most recently used that one person may have."""
        alive = rows(cls).find({"user_id": user_id, "revoked_at": None}, {"_id": 1})
        return [raw["_id"] async for raw in alive.sort("last_used_at", DESCENDING).skip(KEPT)]

    @classmethod
    async def revoked_since(cls, since: datetime) -> list[Id]:
        found = rows(cls).find({"revoked_at": {"$gte": since}}, {"_id": 1})
        return [raw["_id"] async for raw in found]

    @classmethod
    async def alive_of(cls, user_id: Id) -> list["LoginSession"]:
        """Where somebody is logged in, the last used first."""
        where = {"user_id": user_id, "revoked_at": None, "expires_at": {"$gt": now()}}
        found = rows(cls).find(where).sort("last_used_at", DESCENDING).limit(KEPT)
        return [cls.model_validate(raw) async for raw in found]

    @classmethod
    async def belongs_to(cls, login_id: Id, user_id: Id) -> bool:
        found = await rows(cls).find_one({"_id": login_id, "user_id": user_id}, {"_id": 1})
        return found is not None

    @classmethod
    async def knows_address(cls, user_id: Id, address: str) -> bool:
        """Whether this person has logged in from there before."""
        where = {"user_id": user_id, "address": address}
        return await rows(cls).find_one(where, {"_id": 1}) is not None


class SpentRefresh(Document):
    """A refresh token that has been used. Who shows it again has a copy."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    login_id: Id
    expires_at: datetime

    class Settings:
        name = "spent_refresh_tokens"
        indexes: ClassVar = [IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0)]

    @classmethod
    async def add(cls, refresh_hash: str, login_id: Id, expires_at: datetime) -> None:
        """Remember it for as long as its log-in can last."""
        await rows(cls).update_one(
            {"_id": refresh_hash}, {"$set": {"login_id": login_id, "expires_at": expires_at}}, upsert=True
        )

    @classmethod
    async def login_of(cls, refresh_hash: str) -> Id | None:
        raw = await rows(cls).find_one({"_id": refresh_hash})
        return raw["login_id"] if raw else None
