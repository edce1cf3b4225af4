"""The table by itself: what holds of every verb, and that one person is decided like many."""

from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from common.settings import Settings
from realtime.bootstrap import describe_commands
from realtime.channels import Publication
from realtime.policy import Outcome, PersonAbsent, Policy, Refused, Relation, Verb, decide
from realtime.policy.facts import Between
from realtime.policy.table import TABLE, WALLED, Privacy
from rest.app import all_routes
from rest.operations import operation_of
from rest.policies import render_policy

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
PRIVACIES: tuple[Privacy, ...] = ("public", "friends", "private")
OUTLASTS = {Verb.BLOCK, Verb.UNBLOCK, Verb.REPORT}
"""What a block does not end, for who has placed it."""

verbs, relations = st.sampled_from(list(TABLE)), st.sampled_from(list(Relation))
privacies = st.sampled_from(PRIVACIES)


# -- everything names its verb


def _name(route: web.RouteDef) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", all_routes(), ids=_name)
def test_every_route_names_its_verb(route: web.RouteDef) -> None:
    operation = operation_of(route.handler)

    assert operation is not None
    assert operation.public or operation.verb is not Verb.OPEN


def test_no_event_and_no_publication_is_open_to_anybody() -> None:
    verbs = {command.verb for command in describe_commands(Settings())}
    verbs |= {said.verb for said in Publication.registry.values()}

    assert Verb.OPEN not in verbs


def test_a_publication_without_a_verb_cannot_be_made() -> None:
    with pytest.raises(TypeError):

        class Nameless(Publication, event="nameless"):
            pass


def test_the_page_is_what_the_code_says() -> None:
    page = render_policy(all_routes(), describe_commands(Settings()))

    assert PAGE.read_text("utf-8") == page, "run `make docs`"


# -- what holds of every verb


@given(verbs, privacies)
def test_a_block_outweighs_everything(verb: Verb, privacy: Privacy) -> None:
    assert decide(verb, Relation.BLOCKED_BY, privacy) is Outcome.ABSENT
    assert (decide(verb, Relation.BLOCKING, privacy) is Outcome.ALLOWED) is (verb in OUTLASTS)
    assert decide(verb, Relation.BLOCKING, privacy) is not Outcome.REFUSED


@given(verbs, relations)
def test_less_privacy_never_forbids(verb: Verb, relation: Relation) -> None:
    allowed = [decide(verb, relation, privacy) is Outcome.ALLOWED for privacy in PRIVACIES]

    assert allowed == sorted(allowed, reverse=True)


@given(verbs, privacies)
def test_friends_may_what_strangers_may(verb: Verb, privacy: Privacy) -> None:
    for less in (Relation.STRANGER, Relation.PENDING):
        if decide(verb, less, privacy) is Outcome.ALLOWED:
            assert decide(verb, Relation.FRIEND, privacy) is Outcome.ALLOWED


@given(verbs, relations, privacies)
def test_who_is_there_for_one_verb_is_there_for_all(verb: Verb, relation: Relation, privacy: Privacy) -> None:
    """A refusal would tell that there is somebody, where another verb says that there is nobody."""
    if decide(verb, relation, privacy) is Outcome.REFUSED:
        assert decide(Verb.SEE_PROFILE, relation, privacy) is Outcome.ALLOWED


# -- asking it about people


@dataclass(frozen=True)
class Stored:
    """How somebody stands."""

    standing: str
    is_admin: bool
    privacy: Privacy
    is_limited: bool = False

    def audience(self, verb: Verb) -> Privacy:
        return self.privacy


@dataclass(frozen=True)
class World:
    """People, and what the first is to the others, as a database would have it."""

    viewer: Stored
    others: Sequence[tuple[Stored, Relation | None]]

    async def standings(self, user_ids: Collection[str]) -> dict[str, Stored]:
        known = {"viewer": self.viewer, **{str(n): person for n, (person, _) in enumerate(self.others)}}
        return {user: known[user] for user in user_ids if user in known}

    async def bonds(self, viewer: str, user_ids: Collection[str]) -> dict[str, Relation]:
        known = {str(n): bond for n, (_, bond) in enumerate(self.others)}
        return {user: bond for user in user_ids if (bond := known.get(user)) is not None}

    async def between(self, one: str, other: str) -> Between:
        person = other if one == "viewer" else one
        bond = (await self.bonds("viewer", [person])).get(person)
        blockers = {Relation.BLOCKING: {"viewer"}, Relation.BLOCKED_BY: {person}}
        found = blockers.get(bond, set[str]()) if bond is not None else set[str]()
        return Between(found, await self.standings([one, other]))

    async def circles(self, user_ids: Collection[str]) -> dict[str, set[str]]:
        raise NotImplementedError

    async def hidden_ids(self, viewer: str) -> set[str]:
        raise NotImplementedError


stored = st.builds(
    Stored, st.sampled_from(["active", "active", "banned", "pending"]), st.booleans(), privacies
)
bonds = st.sampled_from([None, Relation.FRIEND, Relation.PENDING, Relation.BLOCKING, Relation.BLOCKED_BY])
worlds = st.builds(World, stored, st.lists(st.tuples(stored, bonds), min_size=1, max_size=5))
T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


@given(worlds, verbs)
def test_many_are_decided_as_one_is(world: World, verb: Verb) -> None:
    policy = Policy(world, world)
    everybody = [*map(str, range(len(world.others))), "viewer", "nobody"]

    together = at_once(policy.outcomes("viewer", verb, everybody))
    shown = at_once(policy.allowed("viewer", TABLE, everybody))

    assert together["nobody"] is Outcome.ABSENT
    for user in everybody:
        alone = at_once(policy.outcome("viewer", verb, user))
        assert together[user] is alone
        assert (verb in shown[user]) is (alone is Outcome.ALLOWED)
        if verb in WALLED:
            assert at_once(policy.can_lately("viewer", verb, user)) is (alone is Outcome.ALLOWED)


@given(worlds, verbs)
def test_the_outcome_is_the_best_cell_of_what_the_viewer_is(world: World, verb: Verb) -> None:
    policy, (person, bond) = Policy(world, world), world.others[0]

    outcome = at_once(policy.outcome("viewer", verb, "0"))

    if world.viewer.standing != "active":
        assert outcome is Outcome.REFUSED
    elif person.standing != "active":
        away = Relation.BANNED if person.standing == "banned" else Relation.NOT_APPROVED
        assert outcome is decide(verb, away, person.privacy)
    elif bond is Relation.BLOCKING or bond is Relation.BLOCKED_BY:
        assert outcome is decide(verb, bond, person.privacy)
    else:
        held = [bond or Relation.STRANGER, *([Relation.ADMIN] if world.viewer.is_admin else [])]
        allowed = any(decide(verb, one, person.privacy) is Outcome.ALLOWED for one in held)
        assert (outcome is Outcome.ALLOWED) is allowed


@given(worlds, verbs)
def test_a_requirement_says_why_it_is_not_met(world: World, verb: Verb) -> None:
    policy, everybody = Policy(world, world), [*map(str, range(len(world.others)))]
    outcomes = set(at_once(policy.outcomes("viewer", verb, everybody)).values())

    if outcomes == {Outcome.ALLOWED}:
        at_once(policy.require("viewer", verb, *everybody))
    else:
        with pytest.raises(PersonAbsent if Outcome.ABSENT in outcomes else Refused):
            at_once(policy.require("viewer", verb, *everybody))
