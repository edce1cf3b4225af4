"""Boards: the order of all changes of one person's notifications, and what of them has not been told yet."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel, ReturnDocument

from common.clock import now
from common.ids import Id
from documents.notifications.notifications import Notification, Session
from documents.rows import Raw, rows


class Change(BaseModel):
    """One change of what a person is told, as it goes to their log and to push.

    `version` and `unread` (how many are unread after it) are set when it gets its place on the board. `actor`
    is how who did it is shown, if that was looked up. `ids` without a value are all there are; `dismiss` are
    the notifications whose pushes are to be taken back.
    """

    kind: Literal["put", "read", "removed"]
    at: datetime = Field(default_factory=now)
    version: int = 0
    unread: int = 0
    notification: Notification | None = None
    actor: dict[str, Any] | None = None
    ids: list[Id] | None = None
    dismiss: list[tuple[str, str]] = Field(default_factory=list[tuple[str, str]])
    push: bool = False


class Board(Document):
    """The order of one person's changes: the last version, and the changes not told yet."""

    id: Id  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    version: int = 0
    pending: list[Change] = Field(default_factory=list[Change])
    since: datetime | None = None
    turn: int = 0

    class Settings:
        name = "notification_boards"
        indexes: ClassVar = [
            IndexModel([("since", ASCENDING)], partialFilterExpression={"since": {"$type": "date"}})
        ]

    @classmethod
    async def of(cls, user: Id, session: Session | None = None) -> Self:
        found = await rows(cls).find_one({"_id": user}, session=session)
        return cls.model_validate(found) if found else cls(id=user)

    @classmethod
    async def take_turn(cls, user: Id, session: Session) -> None:
        """Nobody else changes anything until the transaction ends: who is late learns it at once."""
        fresh: Raw = {"version": 0, "pending": [], "since": None}
        change: Raw = {"$inc": {"turn": 1}, "$setOnInsert": fresh}
        await rows(cls).update_one({"_id": user}, change, upsert=True, session=session)

    @classmethod
    async def add(cls, user: Id, changes: Sequence[Change], session: Session) -> Self:
        """Give changes the next versions. Of two transactions that do so at once, one is run again."""
        last: Raw = {"$ifNull": ["$version", 0]}
        added: list[Raw] = [
            {"$mergeObjects": [{"$literal": _stored(change)}, {"version": {"$add": [last, step]}}]}
            for step, change in enumerate(changes, 1)
        ]
        pending: Raw = {"$concatArrays": [{"$ifNull": ["$pending", []]}, added]}
        found = await rows(cls).find_one_and_update(
            {"_id": user},
            [
                {
                    "$set": {
                        "version": {"$add": [last, len(changes)]},
                        "pending": pending,
                        "since": {"$ifNull": ["$since", "$$NOW"]},
                    }
                }
            ],
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return cls.model_validate(found)

    @classmethod
    async def told(cls, user: Id, version: int) -> None:
        """The changes up to `version` have been told."""
        left: Raw = {"$filter": {"input": "$pending", "cond": {"$gt": ["$$this.version", version]}}}
        since: Raw = {"$cond": [{"$eq": ["$pending", []]}, None, "$$NOW"]}
        await rows(cls).update_one({"_id": user}, [{"$set": {"pending": left}}, {"$set": {"since": since}}])

    @classmethod
    async def untold(cls, before: datetime, limit: int) -> list[Id]:
        """The people whose changes have waited longest."""
        late = {"$lt": before, "$type": "date"}  # the partial index is not used without the type
        found = rows(cls).find({"since": late}, {"_id": 1}).sort("since", ASCENDING).limit(limit)
        return [raw["_id"] for raw in await found.to_list()]


def _stored(change: Change) -> Raw:
    fields = change.model_dump(exclude={"notification", "version"})
    if change.notification is not None:
        told = change.notification
        fields["notification"] = {"_id": told.id, **told.model_dump(exclude={"id", "revision_id", "told"})}
    return fields
