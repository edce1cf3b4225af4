"""Whom somebody knows, directly and through friends, within bounds however many friends people have."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from common.ids import Id
from documents.friends import Friendship
from realtime.features.friends.rules import MAX_FRIENDS
from realtime.policy import Policy, Verb

THROUGH, EACH = 150, 50
"""Friends of friends are sought through the latest friends, among the latest friends of each."""
MOST_IN_COMMON = 1000


class Acquaintances:
    """Friends, and those with whom one has friends in common."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def friends_at(self, user_id: Id, at: datetime) -> Sequence[Id]:
        """Their friends since `at` or longer, the latest first."""
        return await Friendship.friends_at(user_id, at, MAX_FRIENDS)

    async def friends_of_friends(self, user_id: Id, friends: Sequence[Id], at: datetime) -> Mapping[Id, int]:
        """Those with whom they have most friends in common, and how many.

        Only through friends who show them their friends: nobody learns more than they could look up.
        """
        latest = friends[:THROUGH]
        open_ones = await self._policy.among(user_id, Verb.SEE_FRIENDS, latest) if latest else set[Id]()
        if not open_ones:
            return {}
        through = [friend for friend in latest if friend in open_ones]
        return await Friendship.friends_of(through, at, EACH, [user_id, *friends], MOST_IN_COMMON)
