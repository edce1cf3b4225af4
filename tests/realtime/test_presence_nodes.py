"""Several nodes agree over Redis on who is online, whatever happens to them and to Redis."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.clock import now
from common.engines import Engines
from common.ids import Id, new_id
from realtime.features.presence.store import Left, RedisPresence

LEASE, GRACE = 1.2, 0.3
BEAT = LEASE / 3


class Node:
    """A node's presence, and everything it found out by itself."""

    def __init__(self, store: RedisPresence) -> None:
        self.store = store
        self.told_gone: list[Id] = []
        self.last_seen: dict[Id, datetime] = {}
        self.told_back: list[Id] = []
        self.telling = asyncio.Event()
        self.telling.set()

    async def gone(self, users: Mapping[Id, datetime]) -> None:
        await self.telling.wait()
        self.told_gone.extend(users)
        self.last_seen.update(users)

    def back(self, users: Iterable[Id]) -> None:
        self.told_back.extend(users)

    async def sees(self, *users: Id) -> bool:
        return await self.store.online(users) == set(users)

    async def leaves(self, user: Id) -> Left:
        """Leave as the user actor does: again, until it can be decided."""
        while (left := await self.store.leave(user)) is Left.LATER:
            await asyncio.sleep(BEAT / 4)
        return left

    async def crash(self) -> None:
        """Stop beating without a word."""
        await self.store._end_tasks()

    async def wake_up(self) -> None:
        """Beat again, as a process does that was frozen."""
        await self.store.start(self)


async def eventually(holds: Callable[[], Awaitable[bool] | bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        result = holds()
        if (result if isinstance(result, bool) else await result) is True:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    async with Engines(tmp_path_factory.mktemp("presence"), mongo=False, redis=True) as running:
        yield running


StartNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def start(engine: Engines) -> AsyncIterator[StartNode]:
    """Start a node; all nodes of a test are one Plaza."""
    space = new_id()
    async with AsyncExitStack() as stack:

        async def make(*, lease: float = LEASE, grace: float = GRACE) -> Node:
            redis = Redis.from_url(engine.redis_url, retry=Retry(NoBackoff(), 0))
            stack.push_async_callback(redis.aclose)
            node = Node(RedisPresence(redis, lease=lease, grace=grace, space=space))
            await node.store.start(node)
            stack.push_async_callback(node.crash)
            return node

        yield make


def people(count: int) -> list[Id]:
    return [new_id() for _ in range(count)]


async def settled(*nodes: Node) -> None:
    await eventually(lambda: all(node.store._is_settled for node in nodes))


async def test_of_many_connections_on_many_nodes_one_is_the_first_and_one_the_last(start: StartNode) -> None:
    nodes = [await start() for _ in range(5)]
    users = people(20)
    await settled(*nodes)

    first = await asyncio.gather(*(node.store.join(user) for user in users for node in nodes))
    last = await asyncio.gather(*(node.leaves(user) for user in users for node in nodes))

    assert first.count(True) == len(users)
    assert last.count(Left.LAST) == len(users)


async def test_who_moves_to_another_node_was_never_away(start: StartNode) -> None:
    one, other = await start(), await start()
    (ann,) = people(1)

    assert await one.store.join(ann)
    assert not await other.store.join(ann)
    assert await one.leaves(ann) is Left.NOT_LAST

    assert await one.sees(ann)
    assert await other.leaves(ann) is Left.LAST
    assert not await one.sees(ann)


async def test_people_of_a_crashed_node_are_gone_once_when_its_lease_ends_and_not_before(
    start: StartNode,
) -> None:
    crashed, one, other = await start(), await start(), await start()
    users = people(450)
    await asyncio.gather(*(crashed.store.join(user) for user in users))
    before = now()
    await crashed.crash()
    started = time.monotonic()

    while time.monotonic() < started + LEASE - 2 * BEAT:
        assert await one.sees(*users)
        assert not one.told_gone + other.told_gone
        await asyncio.sleep(0.02)
    await eventually(lambda: len(one.told_gone + other.told_gone) == len(users), 1.5 * LEASE)

    assert Counter(one.told_gone + other.told_gone) == Counter(users)
    assert await one.store.online(users) == set()
    seen = {**one.last_seen, **other.last_seen}
    assert all(abs((seen[user] - before).total_seconds()) <= 2 * BEAT for user in users)


async def test_who_is_on_another_node_too_is_not_gone_with_the_crashed_one(start: StartNode) -> None:
    crashed, other = await start(), await start()
    ann, bob = people(2)
    for user in (ann, bob):
        await crashed.store.join(user)
    await other.store.join(ann)

    await crashed.crash()
    await eventually(lambda: other.told_gone == [bob])

    assert await other.sees(ann)
    assert await other.leaves(ann) is Left.LAST


async def test_when_the_one_that_clears_up_dies_too_another_goes_on(start: StartNode) -> None:
    crashed, reaper = await start(), await start()
    users = people(450)
    await asyncio.gather(*(crashed.store.join(user) for user in users))
    reaper.telling.clear()
    await crashed.crash()
    await eventually(lambda: _has_nobody(reaper, users))  # it has claimed the first of them, and tells nobody
    await reaper.crash()

    heir = await start()
    await eventually(lambda: set(heir.told_gone) == set(users))

    assert Counter(heir.told_gone) == Counter(users)


async def _has_nobody(node: Node, users: list[Id]) -> bool:
    return len(await node.store.online(users)) < len(users)


async def test_a_node_that_was_thought_dead_takes_its_people_back(start: StartNode) -> None:
    frozen, other = await start(), await start()
    ann, bob = people(2)
    await frozen.store.join(ann)
    await frozen.store.join(bob)
    await frozen.crash()
    await eventually(lambda: sorted(other.told_gone) == sorted([ann, bob]))

    await frozen.wake_up()

    await eventually(lambda: sorted(frozen.told_back) == sorted([ann, bob]))
    assert await other.sees(ann, bob)
    assert await frozen.leaves(ann) is Left.LAST
    assert not await other.sees(ann)


async def test_a_node_that_stops_leaves_its_people_to_the_others_after_the_grace_period(
    start: StartNode,
) -> None:
    stopping, other = await start(lease=30), await start(lease=30)
    ann, bob = people(2)
    for user in (ann, bob):
        await stopping.store.join(user)
    await settled(other)

    await stopping.store.stop()
    await other.store.join(bob)

    await eventually(lambda: other.told_gone == [ann])
    assert await other.sees(bob)


async def test_a_redis_that_lost_everything_takes_nobody_offline(start: StartNode, engine: Engines) -> None:
    one, other = await start(lease=2.4), await start(lease=2.4)
    ann, bob, both = people(3)
    await one.store.join(ann)
    await other.store.join(bob)
    await one.store.join(both)
    await other.store.join(both)
    await settled(one, other)
    assert await one.sees(ann, bob, both)
    epoch = one.store._epoch

    await other.crash()  # so that it is slower than the first to notice
    await restart(engine)
    leaving = asyncio.create_task(one.leaves(both))
    await eventually(lambda: one.store._epoch != epoch)
    noticed = time.monotonic()
    while time.monotonic() < noticed + 2 * BEAT:
        assert await one.sees(ann, bob, both)
        await asyncio.sleep(0.01)
    await other.wake_up()

    assert await leaving is Left.NOT_LAST
    assert await one.leaves(ann) is Left.LAST
    assert not await other.sees(ann)
    assert await one.sees(bob, both)
    assert await other.leaves(both) is Left.LAST
    assert not one.told_gone + other.told_gone + one.told_back + other.told_back


async def test_data_that_vanish_take_nobody_offline_even_for_a_moment(
    start: StartNode, engine: Engines
) -> None:
    one, other = await start(), await start()
    ann, bob = people(2)
    await one.store.join(ann)
    await other.store.join(bob)
    await settled(one, other)
    assert await one.sees(ann, bob)

    async with Redis.from_url(engine.redis_url) as redis:
        await redis.flushall()
    started = time.monotonic()

    while time.monotonic() < started + 2 * LEASE:
        assert await one.sees(ann, bob)
        await asyncio.sleep(0.01)
    assert await other.sees(ann, bob)
    assert not one.told_gone + other.told_gone + one.told_back + other.told_back


async def test_while_redis_is_away_everyone_is_answered_and_nobody_is_taken_offline(
    start: StartNode, engine: Engines
) -> None:
    one, other = await start(), await start()
    ann, bob, late = people(3)
    await one.store.join(ann)
    await other.store.join(bob)
    await settled(one, other)
    assert await one.sees(ann, bob)

    await other.crash()  # so that no beat of it waits in a buffer
    os.kill(engine.redis_pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert not await one.store.join(late)
        assert await one.store.leave(ann) is Left.LATER
        for _ in range(50):
            assert await one.sees(ann, bob, late)
        assert time.monotonic() - started < 4
        while time.monotonic() < started + 2 * LEASE:
            await asyncio.sleep(BEAT)
    finally:
        os.kill(engine.redis_pid, signal.SIGCONT)

    await eventually(lambda: one.told_back == [late])
    returned = time.monotonic()
    await eventually(lambda: time.monotonic() > returned + 1.5 * BEAT)  # the others may be a little later
    await other.wake_up()
    await eventually(lambda: other.sees(late, ann))
    assert await one.leaves(ann) is Left.LAST
    await settled(one, other)
    assert not one.told_gone + other.told_gone + other.told_back


async def test_everything_kept_in_redis_expires_by_itself(start: StartNode, engine: Engines) -> None:
    node = await start()
    await asyncio.gather(*(node.store.join(user) for user in people(3)))

    async with Redis.from_url(engine.redis_url) as redis:
        keys = [key async for key in redis.scan_iter(f"*{node.store._link._prefix}*")]
        lives = [await redis.ttl(key) for key in keys]

    assert len(keys) == 7
    assert all(0 < life <= 3600 for life in lives)


async def restart(engine: Engines) -> None:
    """Kill Redis; its keeper starts it again, empty."""
    killed = engine.redis_pid
    os.kill(killed, signal.SIGKILL)

    async def is_another() -> bool:
        try:
            return engine.redis_pid != killed and await answers(engine)
        except Exception:
            return False

    await eventually(is_another, 10)


async def answers(engine: Engines) -> bool:
    async with Redis.from_url(engine.redis_url, retry=Retry(NoBackoff(), 0)) as redis:
        return bool(await redis.ping())
