"""Asking the table about real people."""

from collections.abc import Collection, Mapping
from typing import Protocol

from common.errors import Forbidden, NotFound
from common.ids import Id
from realtime.policy.table import Outcome, Privacy, Relation, decide
from realtime.policy.verbs import Verb


class PersonAbsent(NotFound):
    text = "There is no such person."


class Refused(Forbidden):
    code, text = "not_allowed", "This person does not allow that."


class Standing(Protocol):
    """What is stored of somebody that policy asks for."""

    @property
    def standing(self) -> str: ...

    @property
    def is_admin(self) -> bool: ...

    @property
    def privacy(self) -> Privacy: ...


class Standings(Protocol):
    """Whether people take part, and what they show; who does not exist is left out."""

    async def standings(self, user_ids: Collection[Id]) -> Mapping[Id, Standing]: ...


class Bonds(Protocol):
    """What the database has between people."""

    async def bonds(self, viewer: Id, user_ids: Collection[Id]) -> Mapping[Id, Relation]:
        """FRIEND, PENDING, BLOCKING or BLOCKED_BY; who is none of these is left out."""
        ...


class Policy:
    """`can(viewer, verb, person)`: every route, event, search, feed, publication and push goes through it."""

    def __init__(self, standings: Standings, bonds: Bonds) -> None:
        self._standings, self._bonds = standings, bonds

    async def outcome(self, viewer: Id, verb: Verb, user_id: Id) -> Outcome:
        """What comes of it; a person who does not exist is absent."""
        return (await self.outcomes(viewer, verb, [user_id]))[user_id]

    async def outcomes(self, viewer: Id, verb: Verb, user_ids: Collection[Id]) -> dict[Id, Outcome]:
        """The same about many, in two queries."""
        others = [user for user in user_ids if user != viewer]
        known = await self._standings.standings({viewer, *user_ids})
        bonds: Mapping[Id, Relation] = await self._bonds.bonds(viewer, others) if others else {}
        me = known.get(viewer)
        return {
            user: Outcome.ABSENT
            if (person := known.get(user)) is None or me is None
            else decide(verb, _relation(user == viewer, person, bonds.get(user), me), person.privacy)
            for user in user_ids
        }

    async def can(self, viewer: Id, verb: Verb, user_id: Id) -> bool:
        """Whether `viewer` may do that to, or see that of, this person."""
        return await self.outcome(viewer, verb, user_id) is Outcome.ALLOWED

    async def require(self, viewer: Id, verb: Verb, user_id: Id) -> None:
        """Raises `PersonAbsent` or `Refused`."""
        found = await self.outcome(viewer, verb, user_id)
        if found is Outcome.ABSENT:
            raise PersonAbsent
        if found is Outcome.REFUSED:
            raise Refused

    async def among(self, viewer: Id, verb: Verb, user_ids: Collection[Id]) -> set[Id]:
        """Those of `user_ids` of whom `viewer` may see that, or to whom they may do it."""
        found = await self.outcomes(viewer, verb, user_ids)
        return {user for user, outcome in found.items() if outcome is Outcome.ALLOWED}


def _relation(is_self: bool, person: Standing, bond: Relation | None, viewer: Standing) -> Relation:
    if person.standing == "banned":
        return Relation.BANNED
    if person.standing != "active":
        return Relation.NOT_APPROVED
    if is_self:
        return Relation.SELF
    if bond is not None and (bond is not Relation.PENDING or not viewer.is_admin):
        return bond
    return Relation.ADMIN if viewer.is_admin else Relation.STRANGER
