"""Rate budgets: a sliding window, the same on all nodes, and still there without Redis."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.engines import Engines
from common.ids import new_id
from common.settings import Settings
from realtime import limits
from realtime.limits import RateLimits
from tests.clients import eventually
from tests.conftest import MakeSettings


class Clock:
    """Time as a test wants it."""

    def __init__(self, now: float = 6_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def budgets(clock: Clock, *, per_minute: int) -> RateLimits:
    values: dict[str, Any] = {"_env_file": None, "limits": {"user_per_minute": per_minute}}
    return RateLimits(Settings(**values), None, clock=clock)


def use(rates: RateLimits, times: int, key: str = "ann") -> int:
    """Hit so many times; how many were allowed."""
    return sum(rates.hit("user", key).allowed for _ in range(times))


# -- one node


def test_a_budget_allows_its_limit_and_no_more() -> None:
    rates = budgets(Clock(), per_minute=100)

    assert use(rates, 250) == 100
    assert use(rates, 250, "bob") == 100


def test_a_verdict_counts_down() -> None:
    rates = budgets(Clock(), per_minute=3)

    assert [rates.hit("user", "ann").remaining for _ in range(3)] == [2, 1, 0]
    refused = rates.hit("user", "ann")
    assert (refused.allowed, refused.limit, refused.remaining) == (False, 3, 0)
    assert refused.retry_after > 0


def test_budgets_do_not_mix() -> None:
    rates = budgets(Clock(), per_minute=1)

    assert rates.hit("user", "ann").allowed
    assert rates.hit("upload", "ann").allowed
    assert rates.hit("public", "ann").allowed


def test_no_sixty_seconds_hold_much_more_than_the_limit() -> None:
    clock = Clock()
    rates = budgets(clock, per_minute=100)
    allowed: list[float] = []
    for _ in range(3000):
        if rates.hit("user", "ann").allowed:
            allowed.append(clock.now)
        clock.now += 0.1

    busiest = max(sum(start <= moment < start + 60 for moment in allowed) for start in allowed)
    assert busiest <= 110
    assert len(allowed) >= 450


def test_the_turn_of_a_minute_is_no_second_budget() -> None:
    clock = Clock()
    rates = budgets(clock, per_minute=100)
    clock.now += 55
    assert use(rates, 100) == 100
    clock.now += 8

    assert use(rates, 100) == 5


def test_what_is_refused_does_not_count() -> None:
    clock = Clock()
    rates = budgets(clock, per_minute=10)
    use(rates, 10_000)
    clock.now += 120

    assert use(rates, 20) == 10


@given(
    st.lists(st.tuples(st.floats(0, 90), st.integers(1, 30)), max_size=20),
    st.integers(1, 50),
    st.integers(1, 3),
)
def test_waiting_as_long_as_told_is_long_enough(
    story: list[tuple[float, int]], per_minute: int, cost: int
) -> None:
    clock = Clock()
    rates = budgets(clock, per_minute=per_minute)
    for pause, times in story:
        clock.now += pause
        use(rates, times)
    cost = min(cost, per_minute)

    verdict = rates.hit("user", "ann", cost)
    if not verdict.allowed:
        clock.now += verdict.retry_after + 0.001
        assert rates.hit("user", "ann", cost).allowed


def test_a_clock_that_is_set_back_forgives_nothing() -> None:
    clock = Clock()
    rates = budgets(clock, per_minute=10)
    use(rates, 10)
    clock.now -= 3600

    assert use(rates, 5) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEYS", 1000)
    rates = budgets(Clock(), per_minute=10)

    for number in range(5000):
        rates.hit("user", str(number))

    assert len(rates) <= 1000


def test_a_hit_is_cheap() -> None:
    rates = budgets(Clock(), per_minute=10_000_000)
    started = time.perf_counter()
    use(rates, 20_000)

    assert (time.perf_counter() - started) / 20_000 < 20e-6


# -- several nodes


def connect(url: str) -> Redis:
    return Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


StartLimits = Callable[[str, int], Awaitable[RateLimits]]


@pytest.fixture
async def start_limits(make_settings: MakeSettings) -> AsyncIterator[StartLimits]:
    """Start the budgets of one more node."""
    async with AsyncExitStack() as stack:

        async def start(url: str, per_minute: int) -> RateLimits:
            redis = connect(url)
            stack.push_async_callback(redis.aclose)
            rates = RateLimits(make_settings(limits={"user_per_minute": per_minute}), redis)
            await rates.start()
            stack.push_async_callback(rates.stop)
            return rates

        yield start


async def spend(nodes: list[RateLimits], key: str, *, times: int, pause: float) -> int:
    """Hit all nodes in turn; how often they allowed it together."""
    allowed = 0
    for _ in range(times):
        allowed += sum(node.hit("user", key).allowed for node in nodes)
        await asyncio.sleep(pause)
    return allowed


@pytest.mark.parametrize("count", [2, 3])
async def test_nodes_share_one_budget_within_ten_percent(
    engines: Engines, start_limits: StartLimits, count: int
) -> None:
    nodes = [await start_limits(engines.redis_url, 1000) for _ in range(count)]

    allowed = await spend(nodes, new_id(), times=1500, pause=0.001)

    assert 900 <= allowed <= 1100


async def test_what_was_used_up_elsewhere_is_known_here_soon(
    engines: Engines, start_limits: StartLimits
) -> None:
    here, there = [await start_limits(engines.redis_url, 100) for _ in range(2)]
    key = new_id()
    assert use(there, 200, key) == 100
    await asyncio.sleep(0.5)

    here.hit("user", key)

    await eventually(lambda: not here.hit("user", key).allowed, 2.0)


async def test_without_redis_each_node_counts_for_itself_and_shares_again_later(
    tmp_path: Path, start_limits: StartLimits
) -> None:
    async with Engines(tmp_path, mongo=False, redis=True) as engine:
        here, there = [await start_limits(engine.redis_url, 200) for _ in range(2)]
        key = new_id()
        await spend([here, there], key, times=10, pause=0.02)
        await eventually(lambda: here.hit("user", key).remaining <= 180, 2.0)
        os.kill(engine.redis_pid, signal.SIGSTOP)
        try:
            assert 150 <= use(here, 500, key) <= 182
            await asyncio.sleep(1.0)
            assert use(here, 10, key) == 0
            assert there.hit("user", key).allowed
        finally:
            os.kill(engine.redis_pid, signal.SIGCONT)

        await eventually(lambda: not there.hit("user", key).allowed, 5.0)
