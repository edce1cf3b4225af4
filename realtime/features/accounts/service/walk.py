"""Walking through the people who fit a query, best first, reading a bounded number of lists and people.

A query that few people fit is answered at once: they are read and sorted. One that many fit is answered class
by class, each in the order of an index. Of friends and friends' friends it is known who they are: they are
looked up in the index by their handles.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

from common import words
from documents.accounts.finding import Beginning, Findable
from realtime.features.accounts.rules.ranking import Fit, Nearness, Query, Rank

FEW = 200
"""So many people are read and sorted."""
LIST = 1000
"""The part of a list that is read at once."""
LISTS = 6
WORDS, GRAMS = 4, 3
"""So many words, and grams of one, are looked up in the index; all words are looked for in people."""
PEOPLE = 600
AT_ONCE = 40

Row = tuple[Rank, Findable]


class Walk:
    """The rows behind a rank, in order. `stopped_at`: where it gave up, having read as much as it may."""

    def __init__(self, query: Query, near: Mapping[str, Nearness], counts: Mapping[str, int]) -> None:
        self._query, self._near, self._counts = query, near, counts
        self._parts = self._rarest(_part_grams(word) for word in _telling(query))
        self._starts = self._rarest([words.start_gram(word)] for word in _telling(query))
        self._lists, self._people = LISTS, PEOPLE
        self._read_to = ""
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

    def _rarest(self, choices: Iterable[Sequence[str]]) -> list[str]:
        """One gram of each word, the rarest first."""
        best = [min(grams, key=self._count) for grams in choices]
        return sorted(dict.fromkeys(best), key=self._count)

    def _count(self, gram: str) -> int:
        return self._counts.get(gram, 0)

    # -- few

    async def few(self) -> list[Row] | None:
        """Everybody, in order, when they are few."""
        if self._count(self.rarest) > LIST:
            return None
        keys, is_whole = await self._keys(self._parts, "")
        if not is_whole or len(keys) > FEW:
            return None
        return sorted(self._ranked(await Findable.of_keys(keys)))

    async def estimate(self, rarest: int) -> int:
        """About how many they are, when so many have the rarest gram."""
        if len(self._parts) == 1:
            return rarest
        keys, _ = await self._keys(self._parts, "")
        return len(keys) * max(1, rarest // LIST)

    # -- many

    async def rows(self, after: Rank | None) -> AsyncGenerator[Row, None]:
        """Those behind a rank."""
        near = await self._near_rows()
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

    async def _near_rows(self) -> list[Row]:
        keys: Sequence[str] = list(self._near)
        for gram in self._parts:
            keys = await Findable.among(gram, keys) if keys else keys
        return sorted(self._ranked(await Findable.of_keys(keys[:PEOPLE]))) if keys else []

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
            for row in self._far(Fit.HANDLE, await Findable.of_keys([self._query.handle_key])):
                yield row

    async def _beginning(
        self, fit: Fit, field: Beginning, text: str, after: tuple[str, str] | None
    ) -> AsyncGenerator[Row, None]:
        while self._may_read(fit, after):
            found = await Findable.beginning(field, text, after, AT_ONCE)
            self._people -= len(found)
            for row in self._far(fit, found):
                yield row
            if len(found) < AT_ONCE:
                return
            after = (getattr(found[-1], field), found[-1].handle_key)

    async def _having(
        self, fit: Fit, grams: Sequence[str], after: tuple[str, str] | None
    ) -> AsyncGenerator[Row, None]:
        """By handle; a list is cut with the others before anybody is read."""
        is_whole = False
        while not is_whole and self._may_read(fit, after):
            keys, is_whole = await self._keys(grams, after[1] if after else "")
            for start in range(0, len(keys), AT_ONCE):
                if not self._may_read(fit, after):
                    return
                some = keys[start : start + AT_ONCE]
                found = await Findable.of_keys(some)
                self._people -= len(some)
                for row in self._far(fit, found):
                    yield row
                after = ("", some[-1])
            after = ("", self._read_to) if self._read_to else after

    async def _keys(self, grams: Sequence[str], after: str) -> tuple[list[str], bool]:
        """The next handle keys that have all of these grams, and whether no more follow."""
        self._lists -= 1
        first, *others = grams
        keys = await Findable.keys(first, after, LIST)
        is_whole, self._read_to = len(keys) < LIST, keys[-1] if keys else ""
        for gram in others:
            keys = await Findable.among(gram, keys) if keys else keys
        return keys, is_whole

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
