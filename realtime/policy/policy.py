"""Asking the table about real people."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import get_args

from common.errors import Forbidden, NotFound
from common.ids import Id
from realtime.policy.facts import Between, Bonds, Lately, Standing, Standings
from realtime.policy.table import APPROACHES, WALLED, Outcome, Privacy, Relation, decide
from realtime.policy.verbs import Verb


class PersonAbsent(NotFound):
    text = "There is no such person."


class Refused(Forbidden):
    code, text = "not_allowed", "This person does not allow that."


class Limited(Forbidden):
    code, text = "account_limited", "For now you can only do that with friends."


class Policy:
    """`can(viewer, verb, person)`: every route, event, search, feed, publication and push goes through it."""

    def __init__(self, standings: Standings, bonds: Bonds) -> None:
        self._standings, self._bonds = standings, bonds
        self._lately = Lately(bonds)

    async def outcome(self, viewer: Id, verb: Verb, user_id: Id) -> Outcome:
        """What comes of it; a person who does not exist is absent."""
        return (await self.outcomes(viewer, verb, [user_id]))[user_id]

    async def outcomes(self, viewer: Id, verb: Verb, user_ids: Collection[Id]) -> dict[Id, Outcome]:
        """The same about many, in as many queries as about one."""
        me, people = await self._look(viewer, user_ids)
        return {user: _limited(verb, me, *found) for user, found in people.items()}

    async def allowed(
        self, viewer: Id, verbs: Collection[Verb], user_ids: Collection[Id]
    ) -> dict[Id, set[Verb]]:
        """What `viewer` may do, of all this, to each of these people."""
        me, people = await self._look(viewer, user_ids)
        return {
            user: {verb for verb in verbs if _limited(verb, me, *found) is Outcome.ALLOWED}
            for user, found in people.items()
        }

    async def _look(
        self, viewer: Id, user_ids: Collection[Id]
    ) -> tuple[Standing | None, dict[Id, tuple[Standing | None, Relation | None]]]:
        """How the viewer stands; and of each person how they stand, and what the viewer is to them."""
        others = [user for user in user_ids if user != viewer]
        known = await self._standings.standings({viewer, *user_ids})
        bonds: Mapping[Id, Relation] = await self._bonds.bonds(viewer, others) if others else {}
        people = {
            user: (known.get(user), Relation.SELF if user == viewer else bonds.get(user)) for user in user_ids
        }
        return known.get(viewer), people

    async def administers(self, viewer: Id) -> bool:
        """Whether `viewer` is an administrator now, for what that widens without a person being meant."""
        me = (await self._standings.standings([viewer])).get(viewer)
        return me is not None and me.is_admin and me.standing == "active"

    async def takes_part(self, user_id: Id) -> bool:
        """Whether they are there at all, for what is shown of them to anybody, without a viewer."""
        person = (await self._standings.standings([user_id])).get(user_id)
        return person is not None and person.standing == "active"

    async def can(self, viewer: Id, verb: Verb, user_id: Id) -> bool:
        """Whether `viewer` may do that to, or see that of, this person."""
        return await self.outcome(viewer, verb, user_id) is Outcome.ALLOWED

    async def require(self, viewer: Id, verb: Verb, *user_ids: Id) -> None:
        """That it is so of all of these; raises `PersonAbsent`, `Refused` or `Limited`."""
        me, people = await self._look(viewer, user_ids) if user_ids else (None, {})
        found = {_limited(verb, me, *person) for person in people.values()}
        if Outcome.ABSENT in found:
            raise PersonAbsent
        if Outcome.REFUSED in found:
            raise Limited if me is not None and me.is_limited and verb in APPROACHES else Refused

    async def among(self, viewer: Id, verb: Verb, user_ids: Collection[Id]) -> set[Id]:
        """Those of `user_ids` of whom `viewer` may see that, or to whom they may do it."""
        found = await self.outcomes(viewer, verb, user_ids)
        return {user for user, outcome in found.items() if outcome is Outcome.ALLOWED}

    async def view(self, viewer: Id, user_id: Id) -> "View":
        """One person as another sees them, for who asks about many parts; raises `PersonAbsent`."""
        me, people = await self._look(viewer, [user_id])
        person, bond = people[user_id]
        if (
            _outcome(Verb.SEE_PROFILE, me, person, bond) is not Outcome.ALLOWED
            or me is None
            or person is None
        ):
            raise PersonAbsent
        return View(person, _relations(me, person, bond))

    async def hidden_ids(self, viewer: Id) -> set[Id]:
        """Everyone whom a block makes absent for `viewer`: for queries that leave them out."""
        return await self._bonds.hidden_ids(viewer)

    async def shown_to_friends(
        self, verbs: Collection[Verb], user_ids: Collection[Id]
    ) -> dict[Id, set[Verb]]:
        """What of all this each of these people shows to their friends; nothing, who does not take part."""
        known = await self._standings.standings(user_ids)
        seen = [(verb, _audiences_with_friends(verb)) for verb in verbs]
        return {
            user: {verb for verb, audiences in seen if person.audience(verb) in audiences}
            for user, person in known.items()
            if person.standing == "active"
        }

    async def circles(self, user_ids: Collection[Id]) -> Mapping[Id, Collection[Id]]:
        """The friends of each of these people, without anyone a block stands between: whom to tell."""
        return await self._bonds.circles(user_ids) if user_ids else {}

    # -- from memory: what every message and every typing dot asks

    async def can_lately(self, viewer: Id, verb: Verb, user_id: Id) -> bool:
        """The same as `can`, as it was at most 1.5 s ago; for verbs that depend on nothing but blocks."""
        return _allows(await self._lately.between(viewer, user_id), viewer, verb, user_id)

    def known_lately(self, viewer: Id, verb: Verb, user_id: Id) -> bool | None:
        """The same without waiting; None when it is not in memory."""
        between = self._lately.known(viewer, user_id)
        return None if between is None else _allows(between, viewer, verb, user_id)

    def forget(self, one: Id, other: Id) -> None:
        """What stands between two people has changed here: it holds on this node at once."""
        self._lately.forget(one, other)


@dataclass(frozen=True, slots=True)
class View:
    """A person who is there for the viewer, and what the viewer is to them."""

    person: Standing
    relations: Sequence[Relation]

    def allows(self, verb: Verb, audience: Privacy | None = None) -> bool:
        """Whether the viewer sees that; with an `audience` a part of it that has one of its own."""
        found = {decide(verb, one, audience or self.person.audience(verb)) for one in self.relations}
        return Outcome.ALLOWED in found


_DECISIVE = frozenset({Relation.SELF, Relation.BLOCKING, Relation.BLOCKED_BY})


def _allows(between: Between, viewer: Id, verb: Verb, user_id: Id) -> bool:
    if verb not in WALLED:
        raise TypeError(f"{verb} depends on more than blocks")
    me, person = between.standings.get(viewer), between.standings.get(user_id)
    bond = Relation.SELF if viewer == user_id else between.bond_of(viewer, user_id)
    return _outcome(verb, me, person, bond) is Outcome.ALLOWED


@cache
def _audiences_with_friends(verb: Verb) -> frozenset[Privacy]:
    """What somebody may have chosen for `verb` so that friends are among those who see it."""
    return frozenset(
        choice for choice in get_args(Privacy) if decide(verb, Relation.FRIEND, choice) is Outcome.ALLOWED
    )


def _outcome(verb: Verb, me: Standing | None, person: Standing | None, bond: Relation | None) -> Outcome:
    if me is None or person is None:
        return Outcome.ABSENT
    if me.standing != "active":
        return Outcome.REFUSED
    return _decide(verb, _relations(me, person, bond), person)


def _limited(verb: Verb, me: Standing | None, person: Standing | None, bond: Relation | None) -> Outcome:
    """The same, less what moderators have taken: who is limited neither reaches strangers nor is found."""
    found = _outcome(verb, me, person, bond)
    if me is None or person is None or bond in (Relation.SELF, Relation.FRIEND):
        return found
    reaches = me.is_limited and verb in APPROACHES
    answers = verb is Verb.BEFRIEND and bond is Relation.PENDING
    is_found = person.is_limited and verb is Verb.SEARCH and not me.is_admin
    taken = found is Outcome.ALLOWED and ((reaches and not answers) or is_found)
    return Outcome.REFUSED if taken else found


def _decide(verb: Verb, relations: Sequence[Relation], person: Standing) -> Outcome:
    """The best that comes of being all of these: only administrators are two things to a person."""
    audience = person.audience(verb)
    found = {decide(verb, relation, audience) for relation in relations}
    return next(outcome for outcome in Outcome if outcome in found)


def _relations(viewer: Standing, person: Standing, bond: Relation | None) -> Sequence[Relation]:
    if person.standing == "banned":
        return (Relation.BANNED,)
    if person.standing != "active":
        return (Relation.NOT_APPROVED,)
    if bond is not None and bond in _DECISIVE:
        return (bond,)
    known = bond or Relation.STRANGER
    return (known, Relation.ADMIN) if viewer.is_admin else (known,)
