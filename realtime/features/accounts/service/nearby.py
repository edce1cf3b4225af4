"""Who is near somebody: friends and people with friends in common, by their handles, as search needs them."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from common.clock import now
from common.ids import Id
from documents.accounts.finding import Findable
from realtime.features.accounts.rules.ranking import Nearness

SECONDS = 60.0
FRIENDS, IN_COMMON = 2000, 300
"""So many are told from strangers: the latest friends, and those with most friends in common."""
MOST_KEPT = 300_000
"""Handles remembered, of all circles together."""


class Acquaintances(Protocol):
    """Whom somebody knows."""

    async def friends_at(self, user_id: Id, at: datetime, most: int) -> Sequence[Id]:
        """Their friends since `at` or longer, the latest first."""
        ...

    async def in_common(
        self, user_id: Id, friends: Sequence[Id], at: datetime, most: int
    ) -> Mapping[Id, int]:
        """Those with whom they have most friends in common, as far as a quick look tells, and how many."""
        ...


class Circle:
    """Somebody's near ones as they were `at` a time: pages of one list are of one time."""

    def __init__(self, at: datetime, near: Mapping[str, Nearness]) -> None:
        self.at, self.near = at, near


class Nearby:
    """Circles, remembered for a minute: who types asks at every letter."""

    def __init__(self, acquaintances: Acquaintances) -> None:
        self._acquaintances = acquaintances
        self._known: OrderedDict[Id, tuple[float, Circle]] = OrderedDict()
        self._kept = 0

    async def of(self, viewer: Id, at: datetime | None = None) -> Circle:
        """A circle as it is, or as it was when the first page was shown."""
        until, circle = self._known.get(viewer, (0.0, None))
        fits = circle is not None and (circle.at == at if at else until > _clock())
        if circle is not None and fits:
            return circle
        found = await self._look(viewer, at or _moment())
        if at is None:
            self._remember(viewer, found)
        return found

    async def _look(self, viewer: Id, at: datetime) -> Circle:
        friends = await self._acquaintances.friends_at(viewer, at, FRIENDS)
        common = await self._acquaintances.in_common(viewer, friends, at, IN_COMMON)
        keys = await Findable.handle_keys([*friends, *common]) if friends else {}
        near = {keys[one]: Nearness.FRIENDS_IN_COMMON for one in common if one in keys}
        return Circle(at, near | {keys[one]: Nearness.FRIEND for one in friends if one in keys})

    def _remember(self, viewer: Id, circle: Circle) -> None:
        self._forget(viewer)
        self._known[viewer] = (_clock() + SECONDS, circle)
        self._kept += 1 + len(circle.near)
        while self._kept > MOST_KEPT:
            self._forget(next(iter(self._known)))

    def _forget(self, viewer: Id) -> None:
        _, circle = self._known.pop(viewer, (0.0, None))
        if circle is not None:
            self._kept -= 1 + len(circle.near)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _moment() -> datetime:
    """Now, as exactly as times are stored."""
    at = now()
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
