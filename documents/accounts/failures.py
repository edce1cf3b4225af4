"""Counters of attempts, each with an end. They are counted before the attempt, so parallel ones count too."""

from datetime import datetime, timedelta
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.clock import now
from documents.rows import Raw, rows


class LoginFailures(Document):
    """How often something was tried since its window opened; the window does not move."""

    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    attempts: int = 0
    expires_at: datetime

    class Settings:
        name = "login_failures"
        indexes: ClassVar = [IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0)]

    @classmethod
    async def count_one(cls, key: str, most: int, window: timedelta) -> datetime | None:
        """Count one attempt, atomically; when it is one too many, the moment the window ends."""
        at = now()
        over = {"$lte": [{"$ifNull": ["$expires_at", at]}, at]}
        raised = {"$min": [{"$add": ["$attempts", 1]}, most + 1]}
        change: list[Raw] = [
            {
                "$set": {
                    "attempts": {"$cond": [over, 1, raised]},
                    "expires_at": {"$cond": [over, at + window, "$expires_at"]},
                }
            }
        ]
        raw = await cls._upsert(key, change)
        return raw["expires_at"] if raw["attempts"] > most else None

    @classmethod
    async def _upsert(cls, key: str, change: list[Raw], *, again: bool = True) -> Raw:
        try:
            raw = await rows(cls).find_one_and_update(
                {"_id": key}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # two first attempts at once: the second finds it now
            if not again:
                raise
            return await cls._upsert(key, change, again=False)
        return raw or {}

    @classmethod
    async def take_back(cls, key: str) -> None:
        """One counted attempt was none."""
        await rows(cls).update_one({"_id": key, "attempts": {"$gt": 0}}, {"$inc": {"attempts": -1}})

    @classmethod
    async def forget(cls, key: str) -> None:
        await rows(cls).delete_one({"_id": key})
