"""Phones and browsers that take pushes. A token is one device, of whoever named it last."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import ClassVar, Literal

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, derived_id
from documents.rows import Raw, rows

Platform = Literal["ios", "android", "web"]

_ATTEMPTS = 5


class WebKeys(BaseModel):
    """What a browser's messages are encrypted with, and the public key of ours that it asked for."""

    p256dh: str
    auth: str
    server: str = ""


class PushDevice(Document):
    """One device of one log-in; it ends with the log-in. `token` is what its provider knows it by."""

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    login_id: Id
    platform: Platform
    token: str = Field(repr=False)
    keys: WebKeys | None = Field(default=None, repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime

    class Settings:
        name = "push_devices"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING), ("seen_at", DESCENDING), ("_id", ASCENDING)]),
            IndexModel([("login_id", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
        ]

    @staticmethod
    def id_of(platform: Platform, token: str) -> Id:
        """The id of whatever device has this token, so that it can only be one."""
        return derived_id("device", platform, token)

    async def register(self) -> "PushDevice":
        """Make it the caller's, whoever had it before; the device as it then is."""
        mine = {"$eq": ["$user_id", self.user_id]}
        fields = self.model_dump(by_alias=True, exclude={"id", "created_at"})
        update = [
            {
                "$set": {
                    **{name: {"$literal": value} for name, value in fields.items()},
                    "created_at": {"$cond": [mine, {"$ifNull": ["$created_at", now()]}, now()]},
                }
            }
        ]
        for _ in range(_ATTEMPTS):
            try:
                found = await rows(type(self)).find_one_and_update(
                    {"_id": self.id}, update, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # both tried to be the first; the next attempt finds the winner's
                continue
            return PushDevice.model_validate(found)
        raise TimeoutError

    @classmethod
    async def keep_newest(cls, user_id: Id, count: int) -> None:
        """Forget a person's devices beyond the `count` that were seen last."""
        behind = cls._of_user(user_id, {"_id": 1}).skip(count)
        surplus = [raw["_id"] for raw in await behind.to_list()]
        if surplus:
            await rows(cls).delete_many({"_id": {"$in": surplus}, "user_id": user_id})

    @classmethod
    async def of_user(cls, user_id: Id) -> "list[PushDevice]":
        """A person's devices, the last seen first."""
        return [cls.model_validate(raw) for raw in await cls._of_user(user_id).to_list()]

    @classmethod
    def _of_user(cls, user_id: Id, fields: Raw | None = None):
        found = rows(cls).find({"user_id": user_id}, fields)
        return found.sort([("seen_at", DESCENDING), ("_id", ASCENDING)])

    @classmethod
    async def targets(cls, user_id: Id, platforms: Collection[Platform]) -> Sequence[tuple[Id, Platform]]:
        """Which devices of these platforms a person has."""
        where = {"user_id": user_id, "platform": {"$in": list(platforms)}}
        found = await rows(cls).find(where, {"platform": 1}).to_list()
        return [(raw["_id"], raw["platform"]) for raw in found]

    @classmethod
    async def among(cls, device_ids: Collection[Id]) -> "dict[Id, PushDevice]":
        """Those of these devices that there are."""
        found = await rows(cls).find({"_id": {"$in": list(device_ids)}}).to_list()
        return {raw["_id"]: cls.model_validate(raw) for raw in found}

    @classmethod
    async def remove(cls, device_id: Id, user_id: Id, *, unless_seen_after: datetime | None = None) -> bool:
        """Forget a device of this person; False when it is not one of theirs, or was seen since."""
        where: Raw = {"_id": device_id, "user_id": user_id}
        if unless_seen_after is not None:
            where["seen_at"] = {"$lte": unless_seen_after}
        result = await rows(cls).delete_one(where)
        return result.deleted_count == 1

    @classmethod
    async def ids_of_logins(cls, login_ids: Collection[Id]) -> list[Id]:
        """The devices of these log-ins."""
        if not login_ids:
            return []
        found = rows(cls).find({"login_id": {"$in": list(login_ids)}}, {"_id": 1})
        return [raw["_id"] for raw in await found.to_list()]

    @classmethod
    async def remove_of_logins(cls, login_ids: Collection[Id]) -> None:
        """Forget the devices of log-ins that have ended."""
        if login_ids:
            await rows(cls).delete_many({"login_id": {"$in": list(login_ids)}})
