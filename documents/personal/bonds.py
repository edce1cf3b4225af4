"""Who has heard of somebody: friends, who has asked or was asked, and who was notified of their doing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from common.ids import Id
from documents.friends import Friendship, State
from documents.notifications import Notification
from documents.personal.holdings import parts_of
from documents.rows import rows


@dataclass(frozen=True, slots=True)
class Bond:
    """What stands between somebody and another person."""

    other: Id
    state: State
    asked_by: Id
    asked_at: datetime
    changed_at: datetime


async def bonds_of(user_id: Id) -> AsyncIterator[Bond]:
    """Everything of this kind that somebody has."""
    async for part in parts_of(Friendship, {"pair": user_id}):
        for raw in part:
            edge = Friendship.model_validate(raw)
            yield Bond(edge.other(user_id), edge.state, edge.asked_by, edge.asked_at, edge.changed_at)


async def told_of(user_id: Id) -> list[Id]:
    """Everyone who has a notification of what somebody did."""
    who = {"actor": user_id, "state": {"$ne": "gone"}}
    found = await rows(Notification).aggregate([{"$match": who}, {"$group": {"_id": "$user"}}])
    return [raw["_id"] async for raw in found]
