"""Where suggestions come from. Each source proposes people within bounds, and says why when one is shown."""

from collections.abc import Collection, Mapping, Sequence
from math import log2
from typing import Protocol

from common.clock import now
from common.ids import Id
from common.words import fold
from realtime.features.friends import Acquaintances, Reach
from realtime.features.friends.rules import MAX_FRIENDS
from realtime.features.suggestions.schemas import (
    Described,
    Hint,
    MutualFriends,
    Reason,
    SameUniversityReason,
    SharedInterestsReason,
)

REACH = Reach(through=150, each=50, most=500)
LISTED = 5


class Source(Protocol):
    """One kind of reason to know somebody. `name` tells what it has counted from what others have."""

    @property
    def name(self) -> str: ...

    async def find(self, user_id: Id) -> Mapping[Id, Hint]:
        """People whom somebody may want to know, in bounded work."""
        ...

    def reason(self, me: Described, person: Described, count: int) -> Reason | None:
        """Why, as it holds now; None when it does not any more."""
        ...


class Alike(Protocol):
    """Where people are found by what they share."""

    async def sharing_interests(self, user_id: Id) -> Mapping[Id, float]: ...

    async def at_same_university(self, user_id: Id) -> Mapping[Id, float]: ...

    async def described(self, user_ids: Collection[Id]) -> Mapping[Id, Described]: ...


class FriendsInCommon:
    """Friends of friends."""

    name = "mutual_friends"

    def __init__(self, acquaintances: Acquaintances) -> None:
        self._acquaintances = acquaintances

    async def find(self, user_id: Id) -> Mapping[Id, Hint]:
        at = now()
        friends = await self._acquaintances.friends_at(user_id, at, MAX_FRIENDS)
        found = await self._acquaintances.friends_of_friends(user_id, friends, at, REACH)
        return {one: Hint(4 + 2 * log2(count), count) for one, count in found.items()}

    def reason(self, me: Described, person: Described, count: int) -> Reason | None:
        text = "1 friend in common" if count == 1 else f"{count} friends in common"
        return MutualFriends(type="mutual_friends", text=text, count=count)


class SharedInterests:
    """People who like the same."""

    name = "shared_interests"

    def __init__(self, alike: Alike) -> None:
        self._alike = alike

    async def find(self, user_id: Id) -> Mapping[Id, Hint]:
        return {one: Hint(points) for one, points in (await self._alike.sharing_interests(user_id)).items()}

    def reason(self, me: Described, person: Described, count: int) -> Reason | None:
        mine = {fold(tag) for tag in me.interests}
        shared = [tag for tag in person.interests if fold(tag) in mine]
        if not shared:
            return None
        text = f"You both like {_listed(shared)}"
        return SharedInterestsReason(type="shared_interests", text=text, interests=shared)


class SameUniversity:
    """People at the same place."""

    name = "same_university"

    def __init__(self, alike: Alike) -> None:
        self._alike = alike

    async def find(self, user_id: Id) -> Mapping[Id, Hint]:
        return {one: Hint(points) for one, points in (await self._alike.at_same_university(user_id)).items()}

    def reason(self, me: Described, person: Described, count: int) -> Reason | None:
        if not me.university or fold(me.university) != fold(person.university):
            return None
        text = f"You are both at {person.university}"
        return SameUniversityReason(type="same_university", text=text, university=person.university)


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`, or `a, b, c, d, e and more`."""
    if len(names) == 1:
        return names[0]
    some, last = (names[:-1], names[-1]) if len(names) <= LISTED else (names[:LISTED], "more")
    return f"{', '.join(some)} and {last}"
