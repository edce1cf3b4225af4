"""Admission: a crowd is turned away at the door and comes in one after the other; nobody is forgotten."""

import asyncio
import json

import aiohttp
import pytest

from common.errors import AppError, Overloaded, RateLimited, Unavailable
from realtime.gateway import admission as module
from realtime.gateway.admission import (
    FIRST_RATE,
    LATEST,
    NARROWEST,
    OVERBOOKED,
    SOONEST,
    WIDEST,
    Admission,
    Pace,
)
from tests.clients import eventually, sign_up
from tests.conftest import MakeSettings, StartNode
from tests.raw import RawSocket


def refused_after(problem: AppError | None) -> float:
    assert isinstance(problem, Unavailable)
    assert problem.retry_after is not None
    return problem.retry_after


async def test_an_address_has_its_share_and_a_network_is_one_address(make_settings: MakeSettings) -> None:
    door = Admission(make_settings(limits={"unauthenticated_per_address": 2}))
    for address in ("2001:db8::1", "2001:db8::2", "192.0.2.1"):
        assert door.enter(address) is None
        door.arrived(address)

    assert isinstance(door.enter("2001:db8::3"), RateLimited)
    assert door.enter("192.0.2.1") is None

    door.left("2001:db8::2")
    assert door.enter("2001:db8::3") is None


async def test_a_full_house_gives_everybody_another_moment_to_come_back(make_settings: MakeSettings) -> None:
    door = Admission(make_settings(limits={"newcomers": 3}), clock=lambda: 1000.0)
    for _ in range(3):
        door.arrived("192.0.2.1")

    waits = [refused_after(door.enter(f"198.51.100.{n % 250}")) for n in range(9000)]

    rate = FIRST_RATE * OVERBOOKED
    first = waits[: int(rate * (LATEST - SOONEST)) - 1]
    assert SOONEST <= first[0] <= SOONEST + 0.1
    assert first == sorted(first)
    assert all(sum(second <= wait < second + 1 for wait in first) <= rate + 1 for second in range(30))
    assert all(LATEST / 2 <= wait <= LATEST for wait in waits[len(first) + 1 :])
    assert len({round(wait) for wait in waits[len(first) + 1 :]}) > 5


async def test_who_stays_silent_keeps_nobody_out(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK", 0.001)
    monkeypatch.setattr(module, "FIRST_RATE", 10.0)
    door = Admission(make_settings())
    for n in range(50):
        door.arrived(f"192.0.2.{n}")
    assert isinstance(door.enter("198.51.100.1"), Unavailable), "they are expected to ask for a turn"

    await eventually(lambda: door.enter("198.51.100.1") is None)

    for n in range(50):
        door.left(f"192.0.2.{n}")


async def test_turns_come_in_order_and_few_at_once(make_settings: MakeSettings) -> None:
    door, had, now, most = Admission(make_settings()), list[int](), 0, 0

    async def newcomer(number: int) -> None:
        nonlocal now, most
        async with door.turn():
            now += 1
            most = max(most, now)
            had.append(number)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(newcomer(number) for number in range(100)))

    assert had == list(range(100))
    assert most == NARROWEST


async def test_who_gives_up_takes_no_turn_with_them(make_settings: MakeSettings) -> None:
    door, leave = Admission(make_settings()), asyncio.Event()

    async def newcomer() -> None:
        async with door.turn():
            await leave.wait()

    tasks = [asyncio.ensure_future(newcomer()) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[10:]:  # they wait
        task.cancel()
    await asyncio.wait(tasks[10:])
    leave.set()
    await tasks[0]
    for task in tasks[4:10]:  # some have been called and do not know it yet
        task.cancel()
    await asyncio.wait(tasks)

    async with asyncio.timeout(5):
        await asyncio.gather(*(newcomer() for _ in range(10)))
    assert (door._running, door._waiting) == (0, 0)


async def test_a_turn_that_does_not_come_in_time_is_an_answer_too(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NARROWEST", 1)
    monkeypatch.setattr(module, "TURN_WITHIN", 0.05)
    door = Admission(make_settings())
    async with door.turn():
        with pytest.raises(Overloaded):
            async with door.turn():
                raise AssertionError("it is not its turn")
    async with door.turn():
        pass


def test_the_pace_follows_the_loop() -> None:
    pace = Pace()
    for _ in range(WIDEST):
        pace.learn(0.0, lag=0.0, is_busy=False)
    assert pace.width == WIDEST
    for _ in range(10):
        pace.learn(0.0, lag=0.5, is_busy=False)
    assert pace.width == NARROWEST
    pace.learn(0.0, lag=0.0, is_busy=False)
    assert pace.width == NARROWEST + 1


def test_the_room_is_what_can_be_served_in_a_moment() -> None:
    pace = Pace()
    for number in range(400):
        pace.served = 1
        pace.learn(number * 0.05, lag=0.0, is_busy=True)
    assert pace.rate == pytest.approx(20, rel=0.05)
    assert pace.room == pytest.approx(40, rel=0.05)
    for number in range(400):
        pace.learn(number * 0.05, lag=0.0, is_busy=False)
    assert pace.rate == pytest.approx(FIRST_RATE, rel=0.05)


async def test_a_node_that_is_full_says_when_to_come_back(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(limits={"newcomers": 2}))
    ann = await sign_up(node.url, "ann")
    silent = [await RawSocket(node.url).__aenter__() for _ in range(2)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await RawSocket(node.url).__aenter__()
    poll = await ann.http.get("/socket.io/?EIO=4&transport=polling")

    assert refusal.value.status == poll.status == 503
    assert refusal.value.headers is not None
    assert 1 <= int(refusal.value.headers["Retry-After"]) <= LATEST
    assert poll.body["code"] == "unavailable"
    assert 1000 <= poll.body["retry_after_ms"] <= 1000 * LATEST

    assert json.loads((await silent[0].open(ann.token))[2:])["sid"]
    assert await (await ann.device()).call("sync", {}), "who has become a session takes no room"
    for socket in silent:
        await socket.__aexit__()
    await ann.leave()
