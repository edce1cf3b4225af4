"""The outbox: one document for each note on each device, until the device shows it no more.

Times are the database's own (`$$NOW`): nodes whose clocks differ agree on what is due and on who has it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError

from common.ids import Id, derived_id
from documents.push.devices import Platform
from documents.rows import Raw, rows
from documents.streams import DUPLICATE

State = Literal["waiting", "shown", "dead"]

_ATTEMPTS = 5
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Placing:
    """A note to be sent; in seconds, when it may first be sent and how long that makes sense."""

    user_id: Id
    key: str
    content: str
    delay: float
    lifetime: float


class PushDelivery(Document):
    """A note for one device: `waiting` to be sent, `shown` there, or `dead` after too many attempts.

    Who is sending it holds a `claim` until `due_at`; what comes of it is written only under that claim.
    `mark` names the content, which a newer note may replace at any time. One that is `taken_back` waits to be
    removed from the device; `tried` says whether the device may have it, `was_tried` whether it had before
    this claim.
    """

    id: Id = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    device_id: Id
    platform: Platform
    key: str
    mark: str
    content: str | None = Field(repr=False)
    state: State
    taken_back: bool
    tried: bool
    was_tried: bool
    claim: str | None
    attempts: int
    why: str
    put_at: datetime
    due_at: datetime
    expires_at: datetime

    class Settings:
        name = "push_outbox"
        indexes: ClassVar = [
            IndexModel(
                [("platform", ASCENDING), ("due_at", ASCENDING)],
                partialFilterExpression={"state": "waiting"},
            ),
            IndexModel([("user_id", ASCENDING), ("key", ASCENDING)]),
            IndexModel([("device_id", ASCENDING), ("taken_back", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
        ]

    @classmethod
    async def put(cls, note: Placing, devices: Sequence[tuple[Id, Platform]]) -> None:
        """Have it sent to these devices in place of an older one; the same again changes nothing."""
        changes = [
            UpdateOne(
                {"_id": derived_id("push", note.user_id, device_id, note.key)},
                _placed(note, device_id, platform),
                upsert=True,
            )
            for device_id, platform in devices
        ]
        for _ in range(_ATTEMPTS):
            try:
                await rows(cls).bulk_write(changes, ordered=False)
            except BulkWriteError as error:  # two put the first one at once; the next attempt replaces
                refused = (error.details or {}).get("writeErrors", ())
                if any(item.get("code") != DUPLICATE for item in refused):
                    raise
                continue
            return
        raise TimeoutError

    @classmethod
    async def take_back(cls, user_id: Id, keys: Sequence[str], within: float) -> None:
        """Forget what no device has seen, and have the rest removed from the devices in the next seconds."""
        removal = {
            "taken_back": True,
            "state": "waiting",
            "attempts": 0,
            "due_at": {"$cond": [_IS_CLAIMED, "$due_at", "$$NOW"]},
            "expires_at": seconds_from_now(within),
        }
        for start in range(0, len(keys), _AT_ONCE):
            mine: Raw = {"user_id": user_id, "key": {"$in": list(keys[start : start + _AT_ONCE])}}
            await rows(cls).delete_many({**mine, "claim": None, "tried": False})
            await rows(cls).update_many({**mine, "taken_back": False}, [{"$set": removal}])

    @classmethod
    async def forget_devices(cls, device_ids: Collection[Id]) -> None:
        """Nothing goes to these devices any more."""
        if device_ids:
            await rows(cls).delete_many({"device_id": {"$in": list(device_ids)}})


_IS_CLAIMED: Raw = {"$ne": [{"$ifNull": ["$claim", None]}, None]}


def seconds_from_now(seconds: float) -> Raw:
    """A time by the database's clock."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": round(seconds * 1000)}}


def _placed(note: Placing, device_id: Id, platform: Platform) -> list[Raw]:
    """What a note makes of the document. One that is being sent now is sent again when that has ended."""
    mark, soon = derived_id("push", note.content), seconds_from_now(note.delay)
    waits: Raw = {"$eq": ["$state", "waiting"]}
    due: Raw = {"$cond": [_IS_CLAIMED, "$due_at", {"$cond": [waits, {"$min": ["$due_at", soon]}, soon]}]}
    fresh: dict[str, Any] = {
        "content": {"$literal": note.content},
        "state": "waiting",
        "attempts": 0,
        "why": "",
        "put_at": "$$NOW",
        "due_at": due,
        "expires_at": seconds_from_now(note.lifetime),
    }
    is_same = {"$and": [{"$eq": ["$mark", mark]}, {"$ne": ["$taken_back", True]}]}
    return [
        {"$set": {"is_same": is_same}},
        {
            "$set": {
                "user_id": note.user_id,
                "device_id": device_id,
                "platform": platform,
                "key": {"$literal": note.key},
                **{name: {"$cond": ["$is_same", f"${name}", value]} for name, value in fresh.items()},
                "mark": mark,
                "taken_back": False,
                "tried": {"$ifNull": ["$tried", False]},
                "was_tried": {"$ifNull": ["$was_tried", False]},
                "claim": {"$ifNull": ["$claim", None]},
            }
        },
        {"$unset": "is_same"},
    ]
