"""Who looks at the app gets no push, on whatever node; who does not look does, also after a crash."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime

import pytest
from redis.asyncio import Redis

from common import metrics
from common.engines import Engines
from common.ids import Id, new_id
from documents.push import PushDelivery, PushDevice
from documents.rows import rows
from realtime.features.presence import RedisPresence
from tests.clients import Person, eventually
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.push.apple import Apple
from tests.push.conftest import MakePush, iphone, note, outbox, states


async def _is(person: Person, *wanted: str) -> bool:
    return await states(person) == sorted(wanted)


def seen() -> float:
    return metrics.pushes.labels("ios", "seen")._value.get()


@pytest.fixture
async def node(start_node: StartNode, make_settings: MakeSettings, push_settings: MakePush) -> Node:
    await rows(PushDelivery).delete_many({})
    await rows(PushDevice).delete_many({})
    return await start_node(make_settings(push=push_settings()))


@pytest.fixture
async def eve(node: Node, join: SignUp) -> Person:
    return await join("eve", node.url)


async def test_who_looks_at_the_app_gets_no_push_until_they_look_away(
    node: Node, apple: Apple, eve: Person
) -> None:
    await iphone(eve)
    device, before = await eve.device(), seen()

    await node.services.push.put(note(eve, "looking"))
    await eventually(lambda: seen() == before + 1)
    assert await states(eve) == []
    assert await device.call("app_state", {"state": "background"}) == {"state": "background"}
    await node.services.push.put(note(eve, "away"))
    await eventually(lambda: _is(eve, "shown"))
    await device.call("app_state", {"state": "foreground"})
    await node.services.push.put(note(eve, "back"))
    await eventually(lambda: seen() == before + 2)
    await device.close()
    await eventually(lambda: _sent(node, eve, apple, "gone"))

    assert [asked.body["key"] for asked in apple.asked if asked.body["key"] != "gone"] == ["away"]


async def _sent(node: Node, person: Person, apple: Apple, key: str) -> bool:
    """Put it again and again: when a connection is gone is known a little later."""
    await node.services.push.put(note(person, key))
    return key in [asked.body["key"] for asked in apple.asked]


async def test_one_connection_in_the_foreground_is_enough(node: Node, apple: Apple, eve: Person) -> None:
    await iphone(eve)
    phone, laptop = await eve.device(), await eve.device()
    before = seen()

    await phone.call("app_state", {"state": "background"})
    await node.services.push.put(note(eve, "on the laptop"))
    await eventually(lambda: seen() == before + 1)
    await laptop.close()
    await eventually(lambda: _sent(node, eve, apple, "away"))

    assert {asked.body["key"] for asked in apple.asked} == {"away"}


async def test_a_note_waits_while_somebody_looks_and_is_sent_when_they_look_away_soon(
    start_node: StartNode, make_settings: MakeSettings, push_settings: MakePush, apple: Apple, join: SignUp
) -> None:
    await rows(PushDelivery).delete_many({})
    node = await start_node(make_settings(push=push_settings(hold=60.0)))
    eve = await join("eve", node.url)
    await iphone(eve)
    device = await eve.device()

    await node.services.push.put(note(eve))
    await eventually(lambda: _is_held(eve))
    await device.call("app_state", {"state": "background"})
    await eventually(lambda: _is(eve, "shown"))

    assert len(apple.asked) == 1


async def _is_held(person: Person) -> bool:
    [row] = await outbox(person)
    return row["claim"] is None and row["attempts"] == 0 and row["due_at"] > row["put_at"]


async def test_what_is_read_on_an_open_device_still_disappears_from_the_others(
    node: Node, apple: Apple, eve: Person
) -> None:
    await iphone(eve)
    await node.services.push.put(note(eve))
    await eventually(lambda: _is(eve, "shown"))

    await eve.device()
    await node.services.push.dismiss(eve.id, ["a-key"])
    await eventually(lambda: _is(eve))

    assert len(apple.removals) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"state": "asleep"}, {"state": None}, {"state": "background", "userId": "x"}, [], "background"],
)
async def test_what_is_no_state_is_refused(ann: Person, body: object) -> None:
    device = await ann.device()

    assert await device.refused("app_state", body) in ("invalid_payload", "unknown_field", "bad_request")


async def test_it_is_known_on_every_node_who_looks(
    start_node: StartNode, make_settings: MakeSettings, push_settings: MakePush, apple: Apple, join: SignUp
) -> None:
    await rows(PushDelivery).delete_many({})
    one = await start_node(make_settings(redis=True))
    other = await start_node(make_settings(redis=True, push=push_settings()))
    eve = await join("eve", one.url)
    await iphone(eve)
    device, before, pushes = await eve.device(), seen(), other.services.push

    await eventually(lambda: _focuses(other, eve))
    await pushes.put(note(eve, "looking"))
    await eventually(lambda: seen() == before + 1)
    await device.call("app_state", {"state": "background"})
    await eventually(lambda: _focuses(other, eve, no=True))
    await pushes.put(note(eve, "away"))
    await eventually(lambda: _is(eve, "shown"))

    assert [asked.body["key"] for asked in apple.asked] == ["away"]


async def _focuses(node: Node, person: Person, *, no: bool = False) -> bool:
    return bool(await node.services.push.foreground.focused([person.id])) is not no


# -- between nodes


class Elsewhere:
    """Nobody listens."""

    async def gone(self, users: Mapping[Id, datetime]) -> None:
        await asyncio.Event().wait()

    def back(self, users: Iterable[Id]) -> None:
        """Nothing to do."""


StartStore = Callable[[], Awaitable[RedisPresence]]


@pytest.fixture
async def start(engines: Engines) -> AsyncIterator[StartStore]:
    space = new_id()
    async with AsyncExitStack() as stack:

        async def make() -> RedisPresence:
            redis = Redis.from_url(engines.redis_url)
            stack.push_async_callback(redis.aclose)
            store = RedisPresence(redis, lease=0.8, grace=0.1, space=space)
            await store.start(Elsewhere())
            stack.push_async_callback(store._end_tasks)
            return store

        yield make


async def test_a_node_that_died_keeps_nobody_in_the_foreground(start: StartStore) -> None:
    """Not even while nobody has cleared up after it, as here."""
    dying, other = await start(), await start()
    user = new_id()
    await dying.join(user)
    await eventually(lambda: _looks(other, user))

    await other._end_tasks()  # it would clear up
    await dying._end_tasks()
    assert await other.focused([user]) == {user}
    await eventually(lambda: _looks(other, user, no=True))

    assert await other.online([user]) == {user}


async def _looks(store: RedisPresence, user: Id, *, no: bool = False) -> bool:
    return bool(await store.focused([user])) is not no


async def test_who_looks_away_on_one_node_may_look_on_another(start: StartStore) -> None:
    one, other, third = await start(), await start(), await start()
    user, somebody = new_id(), new_id()
    await one.join(user)
    await other.join(user)

    one.set_focused(user, False)
    await eventually(lambda: _looks(third, user))
    other.set_focused(user, False)
    await eventually(lambda: _looks(third, user, no=True))
    one.set_focused(user, True)
    await eventually(lambda: _looks(third, user))

    assert await third.focused([somebody, user]) == {user}


async def test_who_looked_away_before_everyone_was_told_of_them_does_not_look(start: StartStore) -> None:
    one, other = await start(), await start()
    user = new_id()

    joining = asyncio.ensure_future(one.join(user))
    await asyncio.sleep(0)
    one.set_focused(user, False)
    await joining
    await eventually(lambda: _looks(other, user, no=True))

    assert await one.focused([user]) == set()
    assert await other.online([user]) == {user}


async def test_who_comes_again_looks_again(start: StartStore) -> None:
    one = await start()
    user = new_id()
    await one.join(user)
    one.set_focused(user, False)

    await eventually(lambda: _has_left(one, user))
    await one.join(user)

    assert await one.focused([user]) == {user}


async def _has_left(store: RedisPresence, user: Id) -> bool:
    return (await store.leave(user)).value != "later"
