"""Blocks, remembered for a moment because every send asks; and friends with whom no block interferes."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from functools import partial
from time import monotonic

from common.ids import Id
from documents.friends import Block, Friendship
from realtime.policy import Relation
from realtime.renewals import Renewals, due_after

SECONDS = 1.5
"""How long another node's change may go unnoticed; all paths must heed a block within two seconds."""
MAX_PAIRS = 50_000


class Blocks:
    """Who has blocked whom, from the database or as it was at most 1.5 s ago."""

    def __init__(self, seconds: float = SECONDS, most: int = MAX_PAIRS) -> None:
        self._seconds, self._most = seconds, most
        self._known: OrderedDict[tuple[Id, Id], tuple[float, float, bool]] = OrderedDict()
        self._renewals = Renewals()
        self._changes = 0

    async def between(self, one: Id, other: Id) -> bool:
        """Whether either has blocked the other."""
        pair, moment = _pair(one, other), monotonic()
        until, due, blocked = self._known.get(pair, (0.0, 0.0, False))
        if until <= moment:
            return await self._look(pair)
        if due <= moment:
            self._renewals.begin(pair, partial(self._look, pair))
        return blocked

    async def _look(self, pair: tuple[Id, Id]) -> bool:
        until, due, changes = monotonic() + self._seconds, due_after(self._seconds), self._changes
        blocked = await Block.between(*pair)
        if changes == self._changes:  # else the answer may be older than a change made here meanwhile
            self._remember(pair, (until, due, blocked))
        return blocked

    async def between_now(self, one: Id, other: Id) -> bool:
        """The same, always from the database."""
        return await Block.between(one, other)

    async def place(self, blocker: Id, blocked: Id) -> Block:
        """Block someone; the block as it then is."""
        try:
            return await Block.place(blocker, blocked)
        finally:
            self._forget(blocker, blocked)

    async def lift(self, blocker: Id, blocked: Id) -> bool:
        """Take a block back; False when there was none."""
        try:
            return await Block.lift(blocker, blocked)
        finally:
            self._forget(blocker, blocked)

    def _remember(self, pair: tuple[Id, Id], known: tuple[float, float, bool]) -> None:
        self._known[pair] = known
        self._known.move_to_end(pair)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def _forget(self, one: Id, other: Id) -> None:
        self._changes += 1
        self._known.pop(_pair(one, other), None)

    def __len__(self) -> int:
        return len(self._known)


def _pair(one: Id, other: Id) -> tuple[Id, Id]:
    return (one, other) if one < other else (other, one)


class FriendBonds:
    """What the policy asks of friendships and blocks, from the database as it is now."""

    async def bonds(self, viewer: Id, user_ids: Collection[Id]) -> dict[Id, Relation]:
        """FRIEND, PENDING, BLOCKING or BLOCKED_BY; who is none of these is left out."""
        edges, blocks = await asyncio.gather(
            Friendship.states_with(viewer, user_ids), Block.among(viewer, user_ids)
        )
        found = {
            user: Relation.FRIEND if state == "accepted" else Relation.PENDING
            for user, state in edges.items()
        }
        found |= {blocked: Relation.BLOCKING for blocker, blocked in blocks if blocker == viewer}
        found |= {blocker: Relation.BLOCKED_BY for blocker, blocked in blocks if blocked == viewer}
        return found


async def friends_among(viewer: Id, user_ids: Collection[Id]) -> set[Id]:
    """Those of `user_ids` who are friends, without anyone a block stands between."""
    friends, hidden = await asyncio.gather(
        Friendship.friends_among(viewer, user_ids), Block.hidden_from(viewer)
    )
    return friends - hidden


async def audiences(user_ids: Collection[Id]) -> dict[Id, set[Id]]:
    """For each person their friends, without anyone a block stands between."""
    friends, blocks = await asyncio.gather(
        Friendship.friends_of_each(user_ids), Block.pairs_of_each(user_ids)
    )
    for one, other in blocks:
        friends.get(one, set[Id]()).discard(other)
        friends.get(other, set[Id]()).discard(one)
    return friends
