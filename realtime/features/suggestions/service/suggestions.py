"""Whom somebody may want to know: ranked now and then, checked whenever it is shown."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from common.clock import now
from common.ids import Id
from documents.suggestions import Dismissals, Suggested, SuggestionList
from realtime.features.friends import Acquaintances
from realtime.features.suggestions.schemas import (
    Described,
    Hint,
    Mark,
    Reason,
    SuggestedUser,
    SuggestionOut,
    Suggestions,
    Window,
)
from realtime.features.suggestions.service.sources import Alike, Source
from realtime.order import Turns
from realtime.policy import Policy, Verb

FRESH = timedelta(minutes=10)
MOST, ASKED = 100, 200
"""So many are suggested, and so many looked at."""
MOST_DISMISSED = 2000


class SuggestionService:
    """Makes lists from its sources. Never shows friends, who has asked or was asked, or who was dismissed."""

    def __init__(
        self, policy: Policy, acquaintances: Acquaintances, alike: Alike, sources: Sequence[Source]
    ) -> None:
        self._policy, self._acquaintances, self._alike = policy, acquaintances, alike
        self._sources, self._turns = sources, Turns()

    async def of(self, user_id: Id, window: Window) -> Suggestions:
        """A part of somebody's list, which is made anew for a first page if it is not fresh."""
        kept = await SuggestionList.of(user_id)
        if kept is None or (window.after is None and now() - kept.at > FRESH):
            kept = await self._renew(user_id)
        allowed = await self._suggestible(user_id, [one.id for one in kept.people])
        described = await self._alike.described({*allowed, user_id})
        if user_id not in described:
            return Suggestions([], 0, None)
        me = described[user_id]
        known = [(one, described[one.id]) for one in kept.people if one.id in allowed & described.keys()]
        rows = [(one, self._suggestion(me, person, one.counts)) for one, person in known]
        return _part([row for row in rows if row[1].reasons], window)

    async def dismiss(self, user_id: Id, other: Id) -> None:
        """Do not suggest somebody any more; raises `PersonAbsent` for who is absent."""
        await self._policy.require(user_id, Verb.SEARCH, other)
        await Dismissals.add(user_id, other, MOST_DISMISSED)

    async def _renew(self, user_id: Id) -> SuggestionList:
        """Ask all sources, once for all who wait for it."""
        asked_at = now()
        async with self._turns.of(user_id):
            kept = await SuggestionList.of(user_id)
            if kept is not None and kept.at >= asked_at:
                return kept
            found = await asyncio.gather(*(source.find(user_id) for source in self._sources))
            ranked = _ranked({source.name: hints for source, hints in zip(self._sources, found, strict=True)})
            allowed = await self._suggestible(user_id, [one.id for one in ranked])
            best = [one for one in ranked if one.id in allowed][:MOST]
            return await SuggestionList.keep(user_id, now(), best)

    async def _suggestible(self, user_id: Id, people: Collection[Id]) -> set[Id]:
        """Those who may be suggested now."""
        bound, dismissed, allowed = await asyncio.gather(
            self._acquaintances.bound(user_id, people),
            Dismissals.of(user_id),
            self._policy.among(user_id, Verb.SEARCH, people),
        )
        return allowed - bound - dismissed - {user_id}

    def _suggestion(self, me: Described, person: Described, counts: Mapping[str, int]) -> SuggestionOut:
        reasons = [self._reason(source, me, person, counts) for source in self._sources]
        user = SuggestedUser(id=person.id, name=person.name, handle=person.handle, avatar=person.avatar)
        return SuggestionOut(user=user, reasons=[reason for reason in reasons if reason is not None])

    def _reason(
        self, source: Source, me: Described, person: Described, counts: Mapping[str, int]
    ) -> Reason | None:
        count = counts.get(source.name)
        return source.reason(me, person, count) if count is not None else None


def _ranked(found: Mapping[str, Mapping[Id, Hint]]) -> list[Suggested]:
    """The best of all sources together; equal ones by id."""
    points: defaultdict[Id, float] = defaultdict(float)
    counts: defaultdict[Id, dict[str, int]] = defaultdict(dict[str, int])
    for name, hints in found.items():
        for one, hint in hints.items():
            points[one] += hint.points
            counts[one][name] = hint.count
    best = sorted(points, key=lambda one: (-points[one], one))[:ASKED]
    return [Suggested(id=one, points=points[one], counts=counts[one]) for one in best]


def _part(rows: Sequence[tuple[Suggested, SuggestionOut]], window: Window) -> Suggestions:
    """The rows behind a mark, or after skipping some."""
    rest = [row for row in rows if window.after is None or _is_behind(row[0], window.after)]
    if window.after is None:
        rest = rest[window.skip :]
    shown = rest[: window.limit]
    following = (shown[-1][0].points, shown[-1][0].id) if len(rest) > window.limit else None
    return Suggestions([item for _, item in shown], len(rows), following)


def _is_behind(one: Suggested, mark: Mark) -> bool:
    points, last = mark
    return (-one.points, one.id) > (-points, last)
