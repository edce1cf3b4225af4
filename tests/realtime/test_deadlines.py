"""Deadlines of many tasks: who takes too long is cut off, who is cancelled stays cancelled."""

import asyncio
import time

import pytest

from realtime.deadlines import Deadline

SHORT = 0.1


async def test_what_takes_too_long_is_cut_off_and_never_early() -> None:
    deadline, began, was_cancelled = Deadline(SHORT), time.monotonic(), False

    with pytest.raises(TimeoutError), deadline.limit():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled = True
            raise

    assert was_cancelled
    assert time.monotonic() - began >= SHORT
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_is_done_in_time_is_left_alone() -> None:
    deadline = Deadline(SHORT)

    async def work(number: int) -> int:
        with deadline.limit():
            await asyncio.sleep(0)
        await asyncio.sleep(1.5 * SHORT)
        return number

    assert await asyncio.gather(*map(work, range(50))) == list(range(50))


async def test_who_is_cancelled_by_somebody_else_stays_cancelled() -> None:
    deadline, started = Deadline(60.0), asyncio.Event()

    async def work() -> None:
        with deadline.limit():
            started.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_limits_within_limits_end_the_one_whose_time_has_run_out() -> None:
    outer, inner = Deadline(60.0), Deadline(SHORT)

    with outer.limit():
        with pytest.raises(TimeoutError), inner.limit():
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    with pytest.raises(TimeoutError), inner.limit(), outer.limit():
        await asyncio.Event().wait()


async def test_an_error_at_the_end_of_the_time_is_the_error_that_is_seen() -> None:
    deadline = Deadline(SHORT)

    with pytest.raises(LookupError), deadline.limit():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError from None

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
