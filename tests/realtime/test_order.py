"""Turns: one at a time for each key."""

import asyncio

import pytest

from common.errors import Overloaded
from realtime.order import Turns


async def test_turns_at_one_key_come_one_after_the_other_in_the_order_of_asking() -> None:
    turns, heard = Turns(), list[str]()

    async def take(name: str) -> None:
        async with turns.of("group"):
            heard.append(f"{name} begins")
            await asyncio.sleep(0.001)
            heard.append(f"{name} ends")

    await asyncio.gather(*(take(name) for name in "abc"))

    assert heard == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


async def test_turns_at_different_keys_do_not_wait_for_each_other() -> None:
    turns = Turns()
    async with turns.of("one"), asyncio.timeout(1), turns.of("other"):
        assert len(turns) == 2


async def test_a_key_that_nobody_wants_is_forgotten_also_after_a_failure() -> None:
    turns = Turns()

    async def fail() -> None:
        async with turns.of("group"):
            raise ValueError

    results = await asyncio.gather(*(fail() for _ in range(3)), return_exceptions=True)

    assert [type(result) for result in results] == [ValueError] * 3
    assert len(turns) == 0


async def test_a_turn_that_does_not_come_in_time_is_refused() -> None:
    turns = Turns(deadline=0.01)
    async with turns.of("group"):
        with pytest.raises(Overloaded):
            async with turns.of("group"):
                pass
    async with turns.of("group"):
        pass
    assert len(turns) == 0


async def test_no_more_than_the_limit_wait_for_a_turn() -> None:
    turns = Turns(waiting=1)

    async def take() -> None:
        async with turns.of("group"):
            await asyncio.sleep(0.01)

    results = await asyncio.gather(*(take() for _ in range(4)), return_exceptions=True)

    assert [type(result) for result in results] == [type(None), type(None), Overloaded, Overloaded]


async def test_who_gives_up_waiting_keeps_nobody_waiting() -> None:
    turns = Turns()
    async with turns.of("group"):
        waiting = asyncio.create_task(turns.of("group").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(1), turns.of("group"):
        pass
    assert len(turns) == 0
