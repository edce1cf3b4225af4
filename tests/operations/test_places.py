"""A place among the workers stays filled, whatever the processes in it do."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable

import pytest

from realtime import worker
from realtime.worker import Job, Mail, Worker, WorkerFailed
from tests.clients import eventually
from tests.operations.program import is_running

BEGIN = """
import json, os, signal, socket, time
place = json.loads(os.environ["PLAZA_WORKER"])
line = socket.socket(fileno=place["lifeline"])
"""
SERVES = "line.send(b'.')\n"
LIVES = "while True: line.send(b'.'); time.sleep(0.05)\n"

Fill = Callable[[str], Worker]


@pytest.fixture
async def fill() -> AsyncIterator[Fill]:
    """A place whose processes do what they are told; it is empty when the test ends."""
    places: list[Worker] = []

    def made(script: str) -> Worker:
        job = Job([sys.executable, "-S", "-c", BEGIN + script], {}, drain=0.2)
        places.append(Worker(job, "w0", Mail(["w0"], inbox=1, outboxes=[1])))
        return places[-1]

    yield made
    await asyncio.gather(*(place.stop(signal.SIGKILL) for place in places))


async def test_one_that_gets_stuck_is_replaced(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENT_FOR", 0.5)
    place = fill(SERVES + "time.sleep(600)")
    await place.start()
    stuck = place.pid

    await eventually(lambda: place.pid != stuck, 30)

    assert not is_running(stuck)


async def test_one_that_ends_before_it_serves_is_not_tried_again(fill: Fill) -> None:
    with pytest.raises(WorkerFailed, match="status 3"):
        await fill("raise SystemExit(3)").start()


async def test_one_that_dies_again_and_again_is_replaced_ever_more_slowly(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    place = fill(SERVES)
    monkeypatch.setattr(worker.asyncio, "sleep", noted)
    await place.start()

    async with asyncio.timeout(30):
        while len(waits) < 7:
            await sleep(0.02)

    assert waits[:7] == [0.0, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


async def test_one_that_will_not_stop_is_killed(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.3)
    place = fill("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LIVES)
    await place.start()
    pid = place.pid

    await place.stop(signal.SIGTERM)

    assert not is_running(pid)


async def test_one_is_replaced_by_another_that_serves(fill: Fill) -> None:
    place = fill(LIVES)
    await place.start()
    first = place.pid

    await place.replace()

    assert place.pid != first
    assert is_running(place.pid)
    assert not is_running(first)
