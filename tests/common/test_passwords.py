"""Passwords: hashed off the loop, in a queue that has an end."""

import asyncio
import time
from collections.abc import AsyncIterator

import bcrypt
import pytest

from common.errors import Overloaded
from common.passwords import WAITING, WORKERS, Passwords


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(4)
    yield made
    made.close()


async def test_a_hash_is_plain_bcrypt_so_that_others_can_check_it(passwords: Passwords) -> None:
    hashed = await passwords.hash("correct horse")
    assert bcrypt.checkpw(b"correct horse", hashed.encode())
    assert await passwords.verify("correct horse", hashed)
    assert not await passwords.verify("correct horsf", hashed)


async def test_nobodys_password_costs_as_much_and_is_never_right(passwords: Passwords) -> None:
    before = passwords.computed
    assert not await passwords.verify("correct horse", None)
    assert passwords.computed == before + 1
    theirs = passwords._nobodys
    assert theirs.startswith("$2b$04$")
    assert len(theirs) == len(await passwords.hash("x"))


async def test_more_than_can_wait_are_turned_away_and_the_rest_is_served(passwords: Passwords) -> None:
    asked = [asyncio.ensure_future(passwords.hash("x")) for _ in range(WORKERS + WAITING + 20)]
    results = await asyncio.gather(*asked, return_exceptions=True)

    refused = [result for result in results if isinstance(result, Overloaded)]
    assert len(refused) == 20
    assert len([result for result in results if isinstance(result, str)]) == WORKERS + WAITING
    assert isinstance(await passwords.hash("x"), str)


async def test_those_who_stop_waiting_make_room() -> None:
    slow = Passwords(10)
    asked = [asyncio.ensure_future(slow.hash("x")) for _ in range(WORKERS + WAITING)]
    await asyncio.sleep(0)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0.3)
    assert isinstance(await slow.hash("x"), str)
    slow.close()


async def test_the_loop_goes_on_while_passwords_are_hashed() -> None:
    slow = Passwords(10)
    hashing = asyncio.ensure_future(slow.hash("x"))
    longest, last = 0.0, time.perf_counter()
    while not hashing.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert longest < 0.05
    slow.close()
