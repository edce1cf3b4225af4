"""Telling two people what has become of them, by their logs and notifications: once, and to nobody else."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from common.ids import Id, new_id
from documents.friends import Block, Friendship
from realtime.features.friends.schemas import (
    BlockChanged,
    FriendAccepted,
    FriendRemoved,
    FriendRequest,
    People,
    Updates,
)
from realtime.features.notifications.schemas import Note, Notifier


class FriendNews:
    """Logs what happens between people. A key makes sure that repeating a command tells nobody twice."""

    def __init__(self, people: People, updates: Updates, notifier: Notifier) -> None:
        self._people, self._updates, self._notifier = people, updates, notifier

    async def say(self, pair: Sequence[Id], edge: Friendship | None, change: Id | None) -> None:
        """What two people are now. `change` is what it comes of; without one it is said, whoever said it."""
        if edge is None:
            await self._ended(pair, change or new_id())
        elif edge.state == "pending":
            await self._asked(edge, "" if change else new_id())
        else:
            await self._accepted(edge, "" if change else new_id())

    async def _asked(self, edge: Friendship, again: str) -> None:
        asked = FriendRequest(
            from_id=edge.asked_by, to_id=edge.other(edge.asked_by), created_at=edge.asked_at
        )
        await self._updates.append(edge.pair, asked, key=f"asked:{edge.id}:{_millis(edge.asked_at)}{again}")
        await self._notify_asked(edge)

    async def _accepted(self, edge: Friendship, again: str) -> None:
        key = f"friends:{edge.id}:{_millis(edge.changed_at)}{again}"
        for user in edge.pair:
            accepted = FriendAccepted(user_id=edge.other(user), since=edge.changed_at)
            await self._updates.append([user], accepted, key=key)
        await self._notify_accepted(edge)

    async def _ended(self, pair: Sequence[Id], change: Id) -> None:
        """The friendship or the request is no more; why is nobody's business."""
        sides = ((pair[0], pair[1]), (pair[1], pair[0]))
        told = [
            self._updates.append([user], FriendRemoved(user_id=other), key=f"ended:{change}")
            for user, other in sides
        ]
        await asyncio.gather(*told)
        await self._notifier.withdraw_many("friend_request", sides)
        await self._notifier.withdraw_many("friend_accepted", sides)

    async def _notify_asked(self, edge: Friendship) -> None:
        """Who was asked is told who asks, unless that was taken back or answered meanwhile."""
        asker = await self._people.get(edge.asked_by)
        if asker is None:
            return
        asked = edge.other(asker.id)
        note = Note(
            type="friend_request",
            key=asker.id,
            text=f"{asker.name} asks you to be friends.",
            actor_id=asker.id,
            data={"userId": asker.id, "askedAt": _millis(edge.asked_at)},
        )
        await self._notifier.notify(asked, note)
        stands = await Friendship.between(*edge.pair)
        if stands is None or stands.state != "pending" or stands.asked_by != asker.id:
            await self._notifier.withdraw(asked, "friend_request", asker.id)

    async def _notify_accepted(self, edge: Friendship) -> None:
        """Who asked is told who said yes, unless that is over; the request has been answered."""
        asked = edge.other(edge.asked_by)
        await self._notifier.withdraw(asked, "friend_request", edge.asked_by)
        friend = await self._people.get(asked)
        if friend is None:
            return
        note = Note(
            type="friend_accepted",
            key=friend.id,
            text=f"{friend.name} and you are friends now.",
            actor_id=friend.id,
            data={"userId": friend.id, "since": _millis(edge.changed_at)},
        )
        await self._notifier.notify(edge.asked_by, note)
        stands = await Friendship.between(*edge.pair)
        if stands is None or stands.state != "accepted":
            await self._notifier.withdraw(edge.asked_by, "friend_accepted", friend.id)

    async def blocked(self, block: Block) -> None:
        """For the blocker's own devices; what either has done is no news to the other any more."""
        changed = BlockChanged(user_id=block.blocked, blocked=True)
        await self._updates.append([block.blocker], changed, key=f"block:{block.id}:{_millis(block.at)}")
        await self._reconsider(block.blocker, block.blocked)

    async def unblocked(self, blocker: Id, blocked: Id) -> None:
        """For the blocker's own devices."""
        await self._updates.append([blocker], BlockChanged(user_id=blocked, blocked=False))
        await self._reconsider(blocker, blocked)

    async def _reconsider(self, one: Id, other: Id) -> None:
        for user, actor in ((one, other), (other, one)):
            await self._notifier.reconsider(user, actor)


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
