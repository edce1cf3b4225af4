"""What the policy asks about people, and what stands between two of them, remembered for a moment."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Protocol

from common.ids import Id
from realtime.policy.table import Privacy, Relation
from realtime.policy.verbs import Verb
from realtime.renewals import Renewals, due_after

SECONDS = 1.5
"""How long another node's change may go unnoticed; all paths must heed it within two seconds."""
MAX_PAIRS = 50_000


class Standing(Protocol):
    """What is stored of somebody that policy asks for."""

    @property
    def standing(self) -> str: ...

    @property
    def is_admin(self) -> bool: ...

    @property
    def is_limited(self) -> bool:
        """Whether moderators have taken from them, for a while, what leads to strangers."""
        ...

    def audience(self, verb: Verb) -> Privacy:
        """Who may see what that verb asks for, as this person has chosen."""
        ...


class Standings(Protocol):
    """Whether people take part, and what they show; who does not exist is left out."""

    async def standings(self, user_ids: Collection[Id]) -> Mapping[Id, Standing]: ...


@dataclass(frozen=True, slots=True)
class Between:
    """Two people: who of them has blocked the other, and whether they take part."""

    blockers: Set[Id]
    standings: Mapping[Id, Standing]

    def bond_of(self, viewer: Id, other: Id) -> Relation | None:
        """BLOCKING or BLOCKED_BY, as it is for `viewer`."""
        if viewer in self.blockers:
            return Relation.BLOCKING
        return Relation.BLOCKED_BY if other in self.blockers else None


class Bonds(Protocol):
    """What the database has between people."""

    async def bonds(self, viewer: Id, user_ids: Collection[Id]) -> Mapping[Id, Relation]:
        """FRIEND, PENDING, BLOCKING or BLOCKED_BY; who is none of these is left out."""
        ...

    async def between(self, one: Id, other: Id) -> Between:
        """Blocks and standings of two people, in one query."""
        ...

    async def circles(self, user_ids: Collection[Id]) -> Mapping[Id, Collection[Id]]:
        """For each person their friends, without anyone a block stands between."""
        ...

    async def hidden_ids(self, viewer: Id) -> set[Id]:
        """Everyone who has blocked this person or was blocked by them."""
        ...


class Lately:
    """What stands between two people, from the database or as it was at most 1.5 s ago."""

    def __init__(self, bonds: Bonds, seconds: float = SECONDS, most: int = MAX_PAIRS) -> None:
        self._bonds, self._seconds, self._most = bonds, seconds, most
        self._known: OrderedDict[tuple[Id, Id], tuple[float, float, Between]] = OrderedDict()
        self._renewals = Renewals()
        self._changes = 0

    async def between(self, one: Id, other: Id) -> Between:
        """As it is, or lately was."""
        return self.known(one, other) or await self._look(_pair(one, other))

    def known(self, one: Id, other: Id) -> Between | None:
        """As it lately was, if that is known."""
        pair, moment = _pair(one, other), monotonic()
        known = self._known.get(pair)
        if known is None or known[0] <= moment:
            return None
        if known[1] <= moment:
            self._renewals.begin(pair, partial(self._look, pair))
        return known[2]

    async def _look(self, pair: tuple[Id, Id]) -> Between:
        until, due, changes = monotonic() + self._seconds, due_after(self._seconds), self._changes
        found = await self._bonds.between(*pair)
        if changes == self._changes:  # else the answer may be older than a change made here meanwhile
            self._remember(pair, (until, due, found))
        return found

    def _remember(self, pair: tuple[Id, Id], known: tuple[float, float, Between]) -> None:
        self._known[pair] = known
        self._known.move_to_end(pair)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self, one: Id, other: Id) -> None:
        """Look again: something was changed here."""
        self._changes += 1
        self._known.pop(_pair(one, other), None)

    def __len__(self) -> int:
        return len(self._known)


def _pair(one: Id, other: Id) -> tuple[Id, Id]:
    return (one, other) if one < other else (other, one)
