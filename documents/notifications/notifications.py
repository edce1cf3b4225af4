"""Notifications: one for each thing that a person is told of, however often it happens."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.rows import Raw, rows

State = Literal["shown", "away", "gone"]
"""`away` while its actor is absent for the person; `gone` is only remembered, so that a retry finds it."""
Session = AsyncClientSession

REMEMBER_SECONDS = 7 * 24 * 3600


class Notification(Document):
    """One thing a person is told of. It changes only in a transaction that ends with `Board.add`.

    `told` are the last occurrences that went into it.
    """

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user: Id
    type: str
    key: str
    actor: Id | None = None
    text: str
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    times: int = 1
    told: list[str] = Field(default_factory=list[str])
    unread: bool = True
    read_at: datetime | None = None
    created_at: datetime = Field(default_factory=now)
    at: datetime = Field(default_factory=now)
    state: State = "shown"
    gone_at: datetime | None = None

    class Settings:
        name = "notifications"
        indexes: ClassVar = [
            IndexModel([("user", ASCENDING), ("type", ASCENDING), ("key", ASCENDING)], unique=True),
            IndexModel(
                [
                    ("user", ASCENDING),
                    ("state", ASCENDING),
                    ("at", DESCENDING),
                    ("_id", DESCENDING),
                    ("actor", ASCENDING),
                ]
            ),
            IndexModel([("user", ASCENDING), ("state", ASCENDING), ("unread", ASCENDING)]),
            IndexModel([("actor", ASCENDING)]),
            IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=REMEMBER_SECONDS),
        ]

    # -- reading

    @classmethod
    async def of_key(cls, user: Id, type_: str, key: str, session: Session | None = None) -> Self | None:
        """What a person was told of that thing, gone or not."""
        found = await rows(cls).find_one({"user": user, "type": type_, "key": key}, session=session)
        return cls.model_validate(found) if found else None

    @classmethod
    async def of_id(cls, user: Id, notification: Id, session: Session | None = None) -> Self | None:
        found = await rows(cls).find_one({"_id": notification, "user": user}, session=session)
        return cls.model_validate(found) if found else None

    @classmethod
    async def where(cls, user: Id, only: Mapping[str, Any], session: Session | None = None) -> list[Self]:
        """Those of a person that fit, newest first."""
        found = rows(cls).find({"user": user, **only}, session=session)
        listed = await found.sort([("at", DESCENDING), ("_id", DESCENDING)]).to_list()
        return [cls.model_validate(raw) for raw in listed]

    @classmethod
    async def standing(cls, type_: str, pairs: Iterable[tuple[Id, str]]) -> set[tuple[Id, str]]:
        """Those (person, key) pairs of which a notification of that type stands."""
        asked = set(pairs)
        where = {
            "user": {"$in": list({user for user, _ in asked})},
            "type": type_,
            "key": {"$in": list({key for _, key in asked})},
            "state": {"$ne": "gone"},
        }
        found = rows(cls).find(where, {"user": 1, "key": 1, "_id": 0})
        return {(raw["user"], raw["key"]) for raw in await found.to_list()} & asked

    @classmethod
    async def unread_of(cls, user: Id, session: Session) -> int:
        """How many a person has not read."""
        return await rows(cls).count_documents(
            {"user": user, "state": "shown", "unread": True}, session=session
        )

    @classmethod
    async def actors(cls, user: Id) -> dict[State, set[Id]]:
        """Whose doings a person is told of: those that show, and those that are away."""
        steps: list[Raw] = [
            {"$match": {"user": user, "state": {"$in": ["shown", "away"]}}},
            {"$group": {"_id": {"state": "$state", "actor": "$actor"}}},
        ]
        found: dict[State, set[Id]] = {"shown": set(), "away": set()}
        for raw in await (await rows(cls).aggregate(steps)).to_list():
            if raw["_id"].get("actor") is not None:
                found[raw["_id"]["state"]].add(raw["_id"]["actor"])
        return found

    # -- writing, within a transaction

    @classmethod
    async def put(
        cls, notification: "Notification", session: Session, *, instead_of: Id | None = None
    ) -> None:
        """Store it as it is now, in place of one that is gone."""
        if instead_of is not None and instead_of != notification.id:
            await rows(cls).delete_one({"_id": instead_of}, session=session)
        fields = notification.model_dump(exclude={"id", "revision_id"})
        await rows(cls).replace_one({"_id": notification.id}, fields, upsert=True, session=session)

    @classmethod
    async def set_where(cls, user: Id, only: Mapping[str, Any], change: Raw, session: Session) -> None:
        await rows(cls).update_many({"user": user, **only}, {"$set": change}, session=session)

    @classmethod
    async def drop(cls, notifications: Collection[Id], session: Session) -> None:
        """Forget them altogether."""
        await rows(cls).delete_many({"_id": {"$in": list(notifications)}}, session=session)

    @classmethod
    async def beyond(cls, user: Id, only: Mapping[str, Any], most: int, session: Session) -> list[Self]:
        """Those that show and fit, but for the newest `most`."""
        found = rows(cls).find({"user": user, "state": "shown", **only}, session=session)
        listed = await found.sort([("at", DESCENDING), ("_id", DESCENDING)]).skip(most).to_list()
        return [cls.model_validate(raw) for raw in listed]
