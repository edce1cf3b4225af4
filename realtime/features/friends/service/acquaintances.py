"""Whom somebody knows, directly and through friends, within bounds however many friends people have."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.ids import Id
from documents.friends import Friendship
from realtime.policy import Policy, Verb

QUICK = (60, 30)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far to look: through so many of the latest friends, at so many of the latest friends of each."""

    through: int
    each: int
    most: int
    """So many are told, those with most friends in common."""


class Acquaintances:
    """Friends, and those with whom one has friends in common."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def friends_at(self, user_id: Id, at: datetime, most: int) -> Sequence[Id]:
        """Their friends since `at` or longer, the latest first."""
        return await Friendship.friends_at(user_id, at, most)

    async def bound(self, user_id: Id, user_ids: Collection[Id]) -> set[Id]:
        """Those of these who are friends, have asked, or were asked."""
        return set(await Friendship.states_with(user_id, user_ids)) if user_ids else set()

    async def in_common(
        self, user_id: Id, friends: Sequence[Id], at: datetime, most: int
    ) -> Mapping[Id, int]:
        """The same, as far as a quick look tells."""
        return await self.friends_of_friends(user_id, friends, at, Reach(*QUICK, most))

    async def friends_of_friends(
        self, user_id: Id, friends: Sequence[Id], at: datetime, reach: Reach
    ) -> Mapping[Id, int]:
        """Those with whom they have most friends in common, and how many.

        Only through friends who show them their friends: nobody learns more than they could look up.
        """
        latest = friends[: reach.through]
        open_ones = await self._policy.among(user_id, Verb.SEE_FRIENDS, latest) if latest else set[Id]()
        if not open_ones:
            return {}
        through = [friend for friend in latest if friend in open_ones]
        return await Friendship.friends_of(through, at, reach.each, [user_id, *friends], reach.most)
