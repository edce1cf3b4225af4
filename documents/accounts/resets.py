"""Links by which somebody who forgot their password may choose another one."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from common.clock import now
from common.ids import Id
from documents.rows import Raw, rows


class PasswordReset(Document):
    """One link. Its id is the hash of its token; `claim` works once."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    created_at: datetime = Field(default_factory=now)
    expires_at: datetime
    used_at: datetime | None = None

    class Settings:
        name = "password_resets"
        indexes: ClassVar = [
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
            IndexModel([("user_id", ASCENDING)]),
        ]

    async def add(self) -> None:
        await rows(type(self)).insert_one(self.model_dump(by_alias=True))

    @classmethod
    async def is_open(cls, token_hash: str) -> bool:
        found = await rows(cls).find_one(_open(token_hash), {"_id": 1})
        return found is not None

    @classmethod
    async def claim(cls, token_hash: str) -> Id | None:
        """Use a link; whose it is, unless it was used, has run out, or never was."""
        raw = await rows(cls).find_one_and_update(_open(token_hash), {"$set": {"used_at": now()}})
        return raw["user_id"] if raw else None

    @classmethod
    async def close_all(cls, user_id: Id) -> None:
        """No link of this person works any more."""
        await rows(cls).update_many({"user_id": user_id, "used_at": None}, {"$set": {"used_at": now()}})


def _open(token_hash: str) -> Raw:
    return {"_id": token_hash, "used_at": None, "expires_at": {"$gt": now()}}
