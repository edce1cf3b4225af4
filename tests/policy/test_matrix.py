"""Every route and every event, asked by everybody about everybody: the answers are what the table says."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from socketio.exceptions import ConnectionError

from realtime.policy import Verb, decide
from realtime.policy.table import Relation
from rest.app import all_routes
from rest.operations import Operation, operation_of
from tests.clients import Device, Http, Json, Person, Reply, sign_up
from tests.conftest import Node
from tests.policy.aiming import CHANGING, Aim, said
from tests.policy.aims import EVENTS, ROUTES
from tests.policy.cast import MINE, Pair, Stage, Words, a_cast, a_stage, nobody
from tests.staff import act, put

OPERATIONS = {f"{route.method} {route.path}": operation_of(route.handler) for route in all_routes()}
OK = 200


@pytest.fixture(scope="module")
async def stage(plaza: Node) -> AsyncIterator[Stage]:
    async with a_stage(plaza) as made:
        yield made


@pytest.fixture(scope="module")
async def cast(stage: Stage) -> AsyncIterator[dict[Relation, Pair]]:
    async with a_cast(stage, *Relation) as pairs:
        yield pairs


# -- everything is registered


def test_every_route_and_every_event_is_asked(plaza: Node) -> None:
    assert set(ROUTES) == set(OPERATIONS)
    assert set(EVENTS) == {command.name for command in plaza.services.commands}


def operation(route: str) -> Operation:
    found = OPERATIONS[route]
    assert found is not None
    return found


# -- asking


async def ask(http: Http, door: str, aim: Aim, words: Words) -> Reply:
    method, _, path = door.partition(" ")
    asked = aim.at(words)
    plain = re.sub(r":[^{}]+}", "}", path)  # what a parameter may be is the router's business
    sent = {"params": asked.query, "json": asked.body, "headers": asked.headers}
    return await http.ask(method, plain.format_map(asked.path), **sent)


async def emit(device: Device, event: str, aim: Aim, words: Words) -> Reply:
    """The same over the socket, its ack as if it were an HTTP answer."""
    ack = await device.ack(event, aim.at(words).body)
    status = OK if ack["ok"] else ack["error"]["status_code"]
    return Reply(status, {"data": ack.get("data"), **(ack.get("error") or {})}, {})


def expected(aim: Aim, verb: Verb, pair: Pair) -> str:
    """What the table says about it; `allowed`, `refused`, `absent`, or `not yours`."""
    if pair.relation is Relation.SELF and aim.is_about("chat", "chat_message"):
        return "absent"  # nobody has a direct conversation with themselves
    is_theirs = aim.is_aimed and pair.relation is not Relation.SELF
    match aim.verb or verb:
        case Verb.ADMINISTER | Verb.MODERATE:
            return "allowed" if pair.relation is Relation.ADMIN else "refused"
        case Verb.OWN:
            return "not yours" if is_theirs else "allowed"
        case Verb.READ_CONVERSATION | Verb.MANAGE_CONVERSATION:
            return "absent" if is_theirs else "allowed"
        case Verb.TAKE_PART:
            return "allowed"
        case about:
            return decide(about, pair.relation).value


def objection(aim: Aim, pair: Pair, wanted: str, answers: tuple[Reply, Reply | None]) -> str | None:
    """What is wrong with an answer, beside the one about nobody; None when it is as it must be."""
    answer, ghost = answers
    if aim.shows is not None:
        if answer.status != OK:
            return f"is no list: {answer.body}"
        is_shown, may_be = aim.shows(answer.data, pair.theirs), wanted == "allowed"
        if is_shown is not may_be and (is_shown or aim.surely):
            return f"{wanted}, but: {answer.body}"
        same = ghost is None or said(answer, pair.theirs) == said(ghost, NOBODY)
        return None if same else f"differs from nobody: {answer} {ghost}"
    nonsense = 422 if pair.relation is Relation.SELF else None
    fits: Callable[[int], bool] = {
        "allowed": lambda status: status < 300 or status in {409, nonsense, *aim.fine},
        "refused": lambda status: status in {403, nonsense},
        "absent": lambda status: status == 404,
        "not yours": lambda status: status in {403, 404},
    }[wanted]
    if not fits(answer.status):
        return f"{wanted}, but {answer.status}: {answer.body}"
    same = ghost is None or said(answer, pair.theirs) == said(ghost, NOBODY)
    return None if same else f"differs from nobody: {answer} {ghost}"


NOBODY = nobody()


Ghosts = dict[tuple[str, str], asyncio.Task[Reply]]
"""The answers about nobody, which are the same whoever asks."""


async def objections(pair: Pair, door: str, aim: Aim, verb: Verb, ghosts: Ghosts) -> list[str]:
    """Ask about the person and, unless somebody has, about nobody."""
    wanted = expected(aim, verb, pair)
    answer, ghost, key = await put_to(pair, door, aim, pair.theirs), None, (door, repr(aim))
    if wanted in {"absent", "not yours"} and aim.is_aimed and not aim.about:
        if key not in ghosts:
            ghosts[key] = asyncio.create_task(put_to(pair, door, aim, NOBODY))
        ghost = await ghosts[key]
    found = objection(aim, pair, wanted, (answer, ghost))
    if aim.when == CHANGING and answer.status < 300:
        await pair.relate()
    return [f"{door} {aim.path or aim.body}: {found}"] if found else []


async def put_to(pair: Pair, door: str, aim: Aim, about: Words) -> Reply:
    if door in EVENTS:
        return await emit(pair.device, door, aim, {**about, **pair.mine})
    return await ask(pair.viewer.http, door, aim, {**about, **pair.mine})


@pytest.fixture(scope="module")
async def wrong(cast: dict[Relation, Pair], plaza: Node) -> dict[Relation, list[str]]:
    """Every door asked by everybody, all at once: what each of them got that they should not have."""
    events = [(one.name, aim, one.verb) for one in plaza.services.commands for aim in EVENTS[one.name]]
    routes = [(route, aim, operation(route).verb) for route, aims in ROUTES.items() for aim in aims]
    doors = sorted([*routes, *events], key=lambda entry: entry[1].when)

    ghosts: Ghosts = {}

    async def walk(pair: Pair) -> list[str]:
        found: list[str] = []
        for door, aim, verb in doors:
            if verb is not Verb.OPEN:
                found += await objections(pair, door, aim, verb, ghosts)
        return found

    return dict(zip(cast, await asyncio.gather(*map(walk, cast.values())), strict=True))


@pytest.mark.parametrize("relation", Relation)
def test_every_door_answers_as_the_table_says(relation: Relation, wrong: dict[Relation, list[str]]) -> None:
    assert not wrong[relation], "\n".join(wrong[relation])


# -- who does not take part


@pytest.fixture
async def barred(stage: Stage) -> AsyncIterator[dict[str, Person]]:
    """People with tokens of before, by the code of the refusal they get now."""
    banned, unapproved = [await sign_up(stage.node.url, "barred") for _ in range(2)]
    await act(stage.admin, banned.id, "ban")
    assert (await put(stage.admin, unapproved.id, is_approved=False)).status == OK
    yield {"account_banned": banned, "pending_approval": unapproved}
    for person in (banned, unapproved):
        await person.leave()


async def test_who_does_not_take_part_is_refused_at_every_door(
    barred: dict[str, Person], stage: Stage
) -> None:
    mine = dict.fromkeys(MINE, NOBODY["person"])
    wrong: list[str] = []

    async with Http(stage.node.url) as anonymous:
        asking = {"unauthenticated": anonymous, **{code: who.http for code, who in barred.items()}}
        for door, aim in ((door, aim) for door, aims in ROUTES.items() for aim in aims):
            answers = {code: await ask(http, door, aim, {**NOBODY, **mine}) for code, http in asking.items()}
            if operation(door).public:
                statuses = {answer.status for answer in answers.values()}
                wrong += [] if len(statuses) == 1 else [f"{door} does not answer all alike: {answers}"]
            else:
                wrong += [
                    f"{door} answers {answer.status} to {code}"
                    for code, answer in answers.items()
                    if answer.status not in {401, 403} or answer.code != code
                ]

    assert not wrong, "\n".join(wrong)


async def test_who_does_not_take_part_gets_no_socket(barred: dict[str, Person]) -> None:
    for code, person in barred.items():
        device, said_why = Device(person.http.url, person.token), list[Json]()
        device.sio.on("connect_error", said_why.append)
        with pytest.raises(ConnectionError):
            await device.connect()
        assert [why["data"]["code"] for why in said_why] == [code]
