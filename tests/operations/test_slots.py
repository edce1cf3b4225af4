"""A slot among the workers stays filled, whatever the processes in it do."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable

import pytest

from realtime import worker
from realtime.worker import Job, Mail, Worker, WorkerFailed, pause
from tests.clients import eventually
from tests.operations.program import is_running

BEGIN = """
import json, os, signal, socket, time
slot = json.loads(os.environ["PLAZA_WORKER"])
line = socket.socket(fileno=slot["lifeline"])
"""
SERVES = "line.send(b'.')\n"
LIVES = "while True: line.send(b'.'); time.sleep(0.05)\n"

Fill = Callable[[str], Worker]


@pytest.fixture
async def fill() -> AsyncIterator[Fill]:
    """A slot whose processes do what they are told; it is empty when the test ends."""
    slots: list[Worker] = []

    def made(script: str) -> Worker:
        job = Job([sys.executable, "-S", "-c", BEGIN + script], {}, drain=0.2)
        slots.append(Worker(job, "w0", Mail(["w0"], inbox=1, outboxes=[1])))
        return slots[-1]

    yield made
    await asyncio.gather(*(slot.stop(signal.SIGKILL) for slot in slots))


async def test_one_that_gets_stuck_is_replaced(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENT_FOR", 0.5)
    slot = fill(SERVES + "time.sleep(600)")
    await slot.start()
    stuck = slot.pid

    await eventually(lambda: slot.pid != stuck, 30)

    assert not is_running(stuck)


async def test_one_that_ends_before_it_serves_is_not_tried_again(fill: Fill) -> None:
    with pytest.raises(WorkerFailed, match="status 3"):
        await fill("raise SystemExit(3)").start()


async def test_one_that_dies_again_and_again_is_replaced_every_time(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BACK_OFF", (0.0, 0.05))
    slot = fill(SERVES)
    await slot.start()
    pids: set[int] = set()

    def five_were_there() -> bool:
        pids.add(slot.pid)
        return len(pids) >= 5

    await eventually(five_were_there, 60)


def test_attempts_become_rarer_up_to_a_limit() -> None:
    assert [pause(deaths) for deaths in range(1, 8)] == [0.0, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


async def test_one_that_will_not_stop_is_killed(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.3)
    slot = fill("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LIVES)
    await slot.start()
    pid = slot.pid

    await slot.stop(signal.SIGTERM)

    assert not is_running(pid)


async def test_one_is_replaced_by_another_that_serves(fill: Fill) -> None:
    slot = fill(LIVES)
    await slot.start()
    first = slot.pid

    await slot.replace()

    assert slot.pid != first
    assert is_running(slot.pid)
    assert not is_running(first)
