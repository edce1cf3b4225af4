"""Walking through the people who fit a query, best first, reading a bounded number of lists and people.

A query that few people fit is answered at once: they are read and sorted. One that many fit is answered class
by class, each in the order of an index. Of friends and friends' friends it is known who they are: they are
looked up in the index by their handles.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

from common import words
from documents.accounts.finding import Beginning, Findable
from realtime.features.accounts.rules.ranking import Fit, Nearness, Query, Rank

FEW = 200
"""So many people are read and sorted; also, so many who are near."""
LIST, LISTS = 1000, 6
"""The part of a list that is read at once to be cut with others, and how often."""
AT_ONCE, PEOPLE = 40, 600
"""People read at once, and in all."""
WORDS, GRAMS = 4, 3
"""So many words, and grams of one, are looked up in the index; all words are looked for in people."""

Row = tuple[Rank, Findable]
Part = tuple[list[str], str | None]
"""Handle keys, and where the list goes on, if it does."""


class Walk:
    """The rows behind a rank, in order. `stopped_at`: where it gave up, having read as much as it may."""

    def __init__(self, query: Query, near: Mapping[str, Nearness], counts: Mapping[str, int]) -> None:
        self._query, self._near, self._counts = query, near, counts
        self._parts = self._rarest(_part_grams(word) for word in _telling(query))
        self._starts = self._rarest([words.start_gram(word)] for word in _telling(query))
        self._lists, self._people, self._at_once = LISTS, PEOPLE, AT_ONCE
        self._ahead: dict[Fit, list[Findable]] = {}
        self._first: dict[tuple[str, ...], Part] = {}
        self.stopped_at: Rank | None = None

    @staticmethod
    def grams(query: Query) -> set[str]:
        """Those whose counts a walk asks for."""
        telling = _telling(query)
        return {gram for word in telling for gram in (*_part_grams(word), words.start_gram(word))}

    @property
    def rarest(self) -> str:
        """The gram whose list is read; everybody who fits has it."""
        return self._parts[0]

    def allow(self, people: int) -> None:
        """Let the walk read so many people more, because that many are passed over."""
        self._people += people
        self._lists += people // AT_ONCE
        self._at_once = min(AT_ONCE + people, FEW)

    def _rarest(self, choices: Iterable[Sequence[str]]) -> list[str]:
        """One gram of each word, the rarest first."""
        best = [min(grams, key=self._count) for grams in choices]
        return sorted(dict.fromkeys(best), key=self._count)

    def _count(self, gram: str) -> int:
        return self._counts.get(gram, 0)

    # -- few

    async def few(self) -> list[Row] | None:
        """Everybody, in order, when they are few."""
        if self._count(self.rarest) > (LIST if len(self._parts) > 1 else FEW):
            return None
        keys, goes_on = await self._begin(self._parts)
        if goes_on is not None or len(keys) > FEW:
            return None
        return sorted(self._ranked(await Findable.of_keys(keys)))

    async def estimate(self, rarest: int) -> int:
        """About how many they are, when so many have the rarest gram."""
        if len(self._parts) == 1:
            return rarest
        keys, goes_on = await self._begin(self._parts)
        return len(keys) * rarest // LIST if goes_on is not None else len(keys)

    # -- many

    async def rows(self, after: Rank | None) -> AsyncGenerator[Row, None]:
        """Those behind a rank."""
        near = await self._look_ahead() if after is None else await self._near_rows()
        for fit in Fit:
            if after is not None and after.fit > fit:
                continue
            since = after if after is not None and after.fit == fit else None
            for row in near:
                if row[0].fit == fit and (since is None or row[0] > since):
                    yield row
            async for row in self._strangers(fit, since):
                yield row
            if self.stopped_at is not None:
                return

    async def _look_ahead(self) -> list[Row]:
        """What a first page needs, asked for at once; those who are near."""
        near, *found = await asyncio.gather(
            self._near_rows(),
            Findable.of_keys([self._query.handle_key]),
            Findable.beginning("search_handle", self._query.handle, None, self._at_once),
            Findable.beginning("search_name", self._query.name, None, self._at_once),
        )
        self._ahead = dict(zip((Fit.HANDLE, Fit.HANDLE_BEGINS, Fit.NAME_BEGINS), found, strict=True))
        return near

    async def _near_rows(self) -> list[Row]:
        """Those who fit and are near; if they are many, the first ones, and the rest count as strangers."""
        keys = list(self._near)
        for gram in self._parts:
            keys = await Findable.among(gram, keys) if keys else keys
        nearest = sorted(keys, key=lambda key: (self._near[key], key))[:FEW]
        self._near = {key: self._near[key] for key in nearest}
        return sorted(self._ranked(await Findable.of_keys(nearest))) if nearest else []

    def _strangers(self, fit: Fit, since: Rank | None) -> AsyncGenerator[Row, None]:
        """Those who fit so and are not near, behind a rank."""
        after = (since.by, since.key) if since is not None and since.nearness is Nearness.STRANGER else None
        match fit:
            case Fit.HANDLE:
                return self._of_handle(after)
            case Fit.HANDLE_BEGINS:
                return self._beginning(fit, "search_handle", self._query.handle, after)
            case Fit.NAME_BEGINS:
                return self._beginning(fit, "search_name", self._query.name, after)
            case Fit.WORDS_BEGIN:
                return self._having(fit, self._starts, after)
            case Fit.PARTS:
                return self._having(fit, self._parts, after)

    async def _of_handle(self, after: tuple[str, str] | None) -> AsyncGenerator[Row, None]:
        if after is None:
            found = self._ahead.pop(Fit.HANDLE, None)
            if found is None:
                found = await Findable.of_keys([self._query.handle_key])
            for row in self._far(Fit.HANDLE, found):
                yield row

    async def _beginning(
        self, fit: Fit, field: Beginning, text: str, after: tuple[str, str] | None
    ) -> AsyncGenerator[Row, None]:
        while self._may_read(fit, after):
            ahead = self._ahead.pop(fit, None) if after is None else None
            found = (
                ahead if ahead is not None else await Findable.beginning(field, text, after, self._at_once)
            )
            self._people -= len(found)
            for row in self._far(fit, found):
                yield row
            if len(found) < self._at_once:
                return
            after = (getattr(found[-1], field), found[-1].handle_key)

    async def _having(
        self, fit: Fit, grams: Sequence[str], after: tuple[str, str] | None
    ) -> AsyncGenerator[Row, None]:
        """By handle; a list is cut with the others before anybody is read."""
        goes_on: str | None = after[1] if after else ""
        while goes_on is not None and self._may_read(fit, after):
            keys, goes_on = await self._part(grams, goes_on) if goes_on else await self._begin(grams)
            for start in range(0, len(keys), self._at_once):
                if not self._may_read(fit, after):
                    return
                some = keys[start : start + self._at_once]
                self._people -= len(some)
                for row in self._far(fit, await Findable.of_keys(some)):
                    yield row
                after = ("", some[-1])
            after = ("", goes_on) if goes_on is not None else after

    async def _begin(self, grams: Sequence[str]) -> Part:
        """The first part of a list, remembered: it is asked for by several."""
        known = self._first.get(tuple(grams))
        if known is None:
            known = self._first[tuple(grams)] = await self._part(grams, "")
        return known

    async def _part(self, grams: Sequence[str], after: str) -> Part:
        """The next handle keys that have all of these grams."""
        self._lists -= 1
        first, *others = grams
        most = LIST if others else FEW
        keys = await Findable.keys(first, after, most)
        goes_on = keys[-1] if len(keys) == most else None
        for gram in others:
            keys = await Findable.among(gram, keys) if keys else keys
        return keys, goes_on

    def _may_read(self, fit: Fit, after: tuple[str, str] | None) -> bool:
        """Whether there is something left of what one request may read; else, where the next one goes on."""
        if self._lists > 0 and self._people > 0:
            return True
        self.stopped_at = Rank(fit, Nearness.STRANGER, *(after or ("", "")))
        return False

    # -- ranks

    def _ranked(self, people: Iterable[Findable]) -> list[Row]:
        ranked = [(self._query.rank_of(one, self._nearness(one)), one) for one in people]
        return [(rank, one) for rank, one in ranked if rank is not None]

    def _far(self, fit: Fit, people: Iterable[Findable]) -> list[Row]:
        return sorted(
            (rank, one)
            for rank, one in self._ranked(people)
            if rank.fit is fit and rank.nearness is Nearness.STRANGER
        )

    def _nearness(self, person: Findable) -> Nearness:
        return self._near.get(person.handle_key, Nearness.STRANGER)


def _telling(query: Query) -> list[str]:
    """The longest words: they have the shortest lists."""
    return sorted(query.words, key=len, reverse=True)[:WORDS]


def _part_grams(word: str) -> list[str]:
    """Some of the grams of a part, from all over it."""
    grams = words.part_grams(word)
    return grams[:: max(1, len(grams) // GRAMS)][:GRAMS]
