"""Whom somebody is friends with, has asked to be, or was asked by."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from common.ids import Id
from documents.friends import Friendship, State
from documents.personal.holdings import parts_of


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
