"""Telling two people what has become of them, by their logs: once, and to nobody else."""

import asyncio
from datetime import datetime, timedelta

from common.clock import now
from common.ids import Id
from documents.friends import Block, Friendship
from realtime.features.friends.schemas import (
    BlockChanged,
    FriendAccepted,
    FriendRemoved,
    FriendRequest,
    Updates,
)

RETRY = timedelta(minutes=10)
"""How long repeating a command says its news again, in case the first attempt could not."""


class FriendNews:
    """Logs what happens between people. A key makes sure that repeating a command tells nobody twice."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    async def changed(self, edge: Friendship) -> None:
        """One has asked, or both are friends now."""
        if now() - edge.changed_at > RETRY:
            return
        if edge.state == "pending":
            asked = FriendRequest(
                from_id=edge.asked_by, to_id=edge.other(edge.asked_by), created_at=edge.asked_at
            )
            await self._updates.append(edge.pair, asked, key=f"asked:{edge.id}:{_millis(edge.asked_at)}")
            return
        key = f"friends:{edge.id}:{_millis(edge.changed_at)}"
        for user in edge.pair:
            accepted = FriendAccepted(user_id=edge.other(user), since=edge.changed_at)
            await self._updates.append([user], accepted, key=key)

    async def ended(self, edge: Friendship) -> None:
        """The friendship or the request is no more; why is nobody's business."""
        told = [self._updates.append([user], FriendRemoved(user_id=edge.other(user))) for user in edge.pair]
        await asyncio.gather(*told)

    async def blocked(self, block: Block) -> None:
        """For the blocker's own devices."""
        changed = BlockChanged(user_id=block.blocked, blocked=True)
        await self._updates.append([block.blocker], changed, key=f"block:{block.id}:{_millis(block.at)}")

    async def unblocked(self, blocker: Id, blocked: Id) -> None:
        """For the blocker's own devices."""
        await self._updates.append([blocker], BlockChanged(user_id=blocked, blocked=False))


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
