"""Finding people by words: the policy decides who is shown, `rules.ranking` in which order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from common.errors import Invalid
from common.ids import Id
from documents.accounts.finding import Findable
from documents.accounts.users import COUNTED
from realtime.features.accounts.rules.ranking import Fit, Nearness, Query, Rank
from realtime.features.accounts.schemas.common import Rows, Window
from realtime.features.accounts.schemas.users import UserCard
from realtime.features.accounts.service.nearby import Acquaintances, Nearby
from realtime.features.accounts.service.walk import LIST, Row, Walk
from realtime.features.accounts.store import Briefly
from realtime.policy import Policy, Verb

DEEPEST = 400
"""How far page numbers go; cursors go on."""
COUNT_SECONDS, TOTAL_SECONDS = 600.0, 60.0
COUNTS_AT_ONCE = 20
ASKED_AT_ONCE = 300


@dataclass(frozen=True, slots=True)
class _Place:
    """What a cursor says: behind whom to go on, and what the first page knew."""

    rank: Rank
    total: int
    at: datetime

    @classmethod
    def of(cls, after: Sequence[str]) -> "_Place":
        fit, nearness, by, key, total, at = after
        rank = Rank(Fit(int(fit)), Nearness(int(nearness)), by, key)
        return cls(rank, int(total), datetime.fromisoformat(at))

    def sealed(self) -> tuple[str, ...]:
        rank = self.rank
        return (str(int(rank.fit)), str(int(rank.nearness)), rank.by, rank.key, str(self.total), self._time)

    @property
    def _time(self) -> str:
        return self.at.isoformat()


class PeopleFinder:
    """Searches for people. Counts that only choose between lists are remembered for a while."""

    def __init__(self, policy: Policy, acquaintances: Acquaintances) -> None:
        self._policy, self._nearby = policy, Nearby(acquaintances)
        self._lengths: Briefly[int] = Briefly(_lengths, seconds=COUNT_SECONDS)
        self._totals: Briefly[int] = Briefly(_totals, seconds=TOTAL_SECONDS)

    async def find(self, viewer: Id, text: str, window: Window) -> Rows[UserCard]:
        """People whose name, handle or public interests hold every word, best first.

        `total` is exact up to 200, and about right above: it would else tell of people the viewer cannot see.
        """
        query = Query.of(text)
        if window.skip + window.limit > DEEPEST and not window.after:
            raise Invalid.field("page", f"goes {DEEPEST:,} people deep; next_cursor goes on")
        if not query.words:
            return Rows([], 0, None)
        place = _Place.of(window.after) if window.after else None
        circle = await self._nearby.of(viewer, place.at if place else None)
        walk = Walk(query, circle.near, await self._counts(query))
        few = await walk.few()
        if few is not None:
            rows, more = await self._visible(viewer, few), None
            shown, total = _cut(rows, place, window), len(rows)
        else:
            walk.allow(window.skip)
            shown, total = await asyncio.gather(
                self._some(viewer, walk, place, window), self._total(walk, place)
            )
            more = walk.stopped_at
        behind = shown[window.limit - 1][0] if len(shown) > window.limit else more
        cards = [_card(person) for _, person in shown[: window.limit]]
        return Rows(cards, total, _Place(behind, total, circle.at).sealed() if behind else None)

    async def _some(self, viewer: Id, walk: Walk, place: _Place | None, window: Window) -> list[Row]:
        """The rows of a page that the viewer may see, and one more if there is one."""
        wanted = window.limit + 1 + (0 if place else window.skip)
        shown: list[Row] = []
        async with aclosing(walk.rows(place.rank if place else None)) as rows:
            while len(shown) < wanted:
                batch = await _next(rows, min(wanted - len(shown), ASKED_AT_ONCE))
                if not batch:
                    break
                shown += await self._visible(viewer, batch)
        return shown if place else shown[window.skip :]

    async def _visible(self, viewer: Id, rows: Sequence[Row]) -> list[Row]:
        allowed = await self._policy.among(viewer, Verb.SEARCH, [person.id for _, person in rows])
        return [row for row in rows if row[1].id in allowed]

    async def _counts(self, query: Query) -> dict[str, int]:
        grams = sorted(Walk.grams(query))
        found = await asyncio.gather(*(self._lengths.get(gram) for gram in grams))
        return {gram: count or 0 for gram, count in zip(grams, found, strict=True)}

    async def _total(self, walk: Walk, place: _Place | None) -> int:
        if place is not None:
            return place.total
        return _about(await walk.estimate(await self._totals.get(walk.rarest) or 0))


async def _next(rows: AsyncIterator[Row], most: int) -> list[Row]:
    batch: list[Row] = []
    while len(batch) < most:
        row = await anext(rows, None)
        if row is None:
            break
        batch.append(row)
    return batch


def _cut(rows: Sequence[Row], place: _Place | None, window: Window) -> list[Row]:
    """A page of a list that was read whole, and one row more."""
    rest = [row for row in rows if row[0] > place.rank] if place else rows[window.skip :]
    return list(rest[: window.limit + 1])


def _about(total: int) -> int:
    """Up to the next hundred, and no further than counting goes."""
    return min(-(-total // 100) * 100, COUNTED)


def _card(person: Findable) -> UserCard:
    return UserCard(id=person.id, name=person.name, handle=person.handle, avatar=person.avatar)


async def _lengths(grams: Sequence[str]) -> dict[str, int]:
    return await _counted(grams, LIST + 1)


async def _totals(grams: Sequence[str]) -> dict[str, int]:
    return await _counted(grams, COUNTED)


async def _counted(grams: Sequence[str], most: int) -> dict[str, int]:
    counted: dict[str, int] = {}
    for start in range(0, len(grams), COUNTS_AT_ONCE):
        counted |= await Findable.counts(grams[start : start + COUNTS_AT_ONCE], most)
    return counted
