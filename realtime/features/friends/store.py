"""Friendships and blocks as the policy asks for them, from the database as it is now."""

import asyncio
from collections.abc import Collection

from common.ids import Id
from documents.friends import Block, Friendship
from realtime.policy import Between, Relation


class FriendBonds:
    """What people have with each other."""

    async def bonds(self, viewer: Id, user_ids: Collection[Id]) -> dict[Id, Relation]:
        """FRIEND, PENDING, BLOCKING or BLOCKED_BY; who is none of these is left out."""
        edges, blocks = await asyncio.gather(
            Friendship.states_with(viewer, user_ids), Block.among(viewer, user_ids)
        )
        found = {
            user: Relation.FRIEND if state == "accepted" else Relation.PENDING
            for user, state in edges.items()
        }
        found |= {blocker: Relation.BLOCKED_BY for blocker, blocked in blocks if blocked == viewer}
        found |= {blocked: Relation.BLOCKING for blocker, blocked in blocks if blocker == viewer}
        return found

    async def between(self, one: Id, other: Id) -> Between:
        """Blocks and standings of two people, in one query."""
        return Between(*await Block.between(one, other))

    async def circles(self, user_ids: Collection[Id]) -> dict[Id, set[Id]]:
        """For each person their friends, without anyone a block stands between."""
        friends, blocks = await asyncio.gather(
            Friendship.friends_of_each(user_ids), Block.pairs_of_each(user_ids)
        )
        for one, other in blocks:
            friends.get(one, set[Id]()).discard(other)
            friends.get(other, set[Id]()).discard(one)
        return friends

    async def hidden_ids(self, viewer: Id) -> set[Id]:
        """Everyone who has blocked this person or was blocked by them."""
        return await Block.hidden_from(viewer)
