"""Readers that do not read (`python -m loadtests.slow_readers`): a tenth of a room of 1,000 stops reading.

Rounds in which all read, and rounds in which they do not, follow each other on one server. What the others
notice is the ratio of how late messages reach them; what the process pays is its memory. Who does not read is
closed in the end, and can fetch what is missing.
"""

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.cpu import OTHERS, Cpu
from loadtests.population import Wish, populate
from loadtests.report import milliseconds, percentile, table
from loadtests.server import WIDE, Rig, run_orderly
from loadtests.slow_readers_room import Room

MOST_MEMORY = 20 * 1024 * 1024
MOST_RATIO = 1.2
NOISY = 0.6
"""The share of a core that all others may use: the generator, and strangers."""
CUT_WITHIN = 20.0

Rows = list[tuple[str, object]]


@dataclass(frozen=True)
class Plan:
    """How many are in the room, how many of them stop reading, and what is said to them."""

    room: int = 1000
    slow: int = 100
    rate: float = 20.0
    size: int = 5000
    seconds: float = 20.0
    rounds: int = 3
    watched: int = 100
    """Readers whose messages are timed; the others only count theirs."""


@dataclass
class Round:
    """What was measured in one of them."""

    late: list[float] = field(default_factory=list[float])
    memory: int = 0
    """The most that the server used, in bytes."""
    closed: int = 0
    cpu: dict[str, float] = field(default_factory=dict[str, float])


@dataclass
class Outcome:
    """All rounds: without readers that do not read, and with them."""

    plan: Plan
    calm: list[Round] = field(default_factory=list[Round])
    slowed: list[Round] = field(default_factory=list[Round])
    lost: int = 0
    """Messages that somebody who read did not get."""
    refused: int = 0

    @property
    def growth(self) -> int:
        """Bytes that those who do not read cost, at the worst moment."""
        return max(0, *(after.memory - before.memory for before, after in self.pairs))

    @property
    def pairs(self) -> list[tuple[Round, Round]]:
        return list(zip(self.calm, self.slowed, strict=True))

    @property
    def ratio(self) -> float:
        """Of the best p99 with them to the best without: whoever else is busy makes single rounds worse."""
        best = [min(percentile(one.late, 0.99) for one in rounds) for rounds in (self.slowed, self.calm)]
        return best[0] / max(1e-6, best[1])

    @property
    def is_noisy(self) -> bool:
        """Whether other programs were busy in every round of either kind."""
        return any(min(one.cpu[OTHERS] for one in rounds) > NOISY for rounds in (self.slowed, self.calm))

    @property
    def broken(self) -> list[str]:
        """Promises that were not kept."""
        closed = min(one.closed for one in self.slowed)
        checks = {
            f"memory grew by {_megabytes(self.growth)}": self.growth <= MOST_MEMORY,
            f"p99 of the others was {self.ratio:.2f} times what it was without": self.ratio <= MOST_RATIO,
            f"only {closed} of {self.plan.slow} were closed": closed == self.plan.slow,
            f"{self.lost} messages did not reach those who read": not self.lost,
            f"{self.refused} messages were refused": not self.refused,
        }
        return [promise for promise, is_kept in checks.items() if not is_kept]


async def run(plan: Plan) -> Outcome:
    """Measure on a rig of its own."""
    async with Rig() as rig:
        wish = Wish(
            mongo_url=rig.engines.mongo_url,
            database="load",
            secret=WIDE["PLAZA_JWT_SECRET"],
            people=plan.room,
            group=plan.room,
        )
        people = await populate(wish)
        room = Room(rig.urls[0], people, watched=plan.watched, changing=plan.slow)
        try:
            await room.connect()
            return await _measure(plan, rig, room)
        finally:
            room.close()


async def _measure(plan: Plan, rig: Rig, room: Room) -> Outcome:
    outcome = Outcome(plan)
    await room.speak(plan.rate, plan.size, plan.seconds / 3)
    outcome.lost += await room.settle(room.lanes)
    for _ in range(plan.rounds):
        for rounds, deaf in ((outcome.calm, False), (outcome.slowed, True)):
            others = await room.others(deaf=deaf)
            rounds.append(await _round(plan, rig, room, len(others) if deaf else 0))
            outcome.lost += await room.settle(room.lanes)
            for lane in others:
                lane.abort()
    outcome.refused = room.refused
    return outcome


async def _round(plan: Plan, rig: Rig, room: Room, deaf: int) -> Round:
    """Talk, look at the server's memory meanwhile, and then until the deaf are gone."""
    room.late, done, pids = [], Round(), {"server": rig.nodes[0].pid, "mongod": rig.engines.mongo_pid}
    cpu, before = Cpu(pids), sockets_of(pids["server"])
    watching = asyncio.create_task(_watch_memory(pids["server"], done))
    try:
        await room.speak(plan.rate, plan.size, plan.seconds)
        done.cpu = cpu.shares()
        deadline = time.perf_counter() + CUT_WITHIN
        while deaf and time.perf_counter() < deadline:
            done.closed = before - sockets_of(pids["server"])
            if done.closed >= deaf:
                break
            await asyncio.sleep(0.1)
    finally:
        watching.cancel()
    done.late = room.late
    return done


async def _watch_memory(pid: int, done: Round) -> None:
    while True:
        done.memory = max(done.memory, memory_of(pid))
        await asyncio.sleep(0.1)


def memory_of(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def sockets_of(pid: int) -> int:
    """Open descriptors: those of clients, and some that stay."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def rows_of(outcome: Outcome) -> Rows:
    """What the table shows."""
    plan = outcome.plan
    rows: Rows = [
        ("room, of them deaf", f"{plan.room:,}, {plan.slow:,}"),
        ("messages", f"{plan.rate:.0f}/s of {plan.size:,} bytes"),
    ]
    for number, (before, after) in enumerate(outcome.pairs, 1):
        for name, one in (("without", before), ("with", after)):
            used = ", ".join(f"{process} {share:.0%}" for process, share in one.cpu.items())
            rows.append(
                (f"{number} {name}: p50 · p99", f"{_tail(one.late)}; {_megabytes(one.memory)}; {used}")
            )
        rows.append((f"{number} closed as slow", after.closed))
    return [
        *rows,
        ("p99 with to without", f"{outcome.ratio:.2f}"),
        ("memory grew by", _megabytes(outcome.growth)),
        ("lost by those who read", outcome.lost),
    ]


def _tail(late: Sequence[float]) -> str:
    return " · ".join(milliseconds(percentile(late, share)) for share in (0.5, 0.99))


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every promise was kept."""
    options = argparse.ArgumentParser(prog="python -m loadtests.slow_readers", description=__doc__)
    plan = Plan()
    options.add_argument("--room", type=int, default=plan.room)
    options.add_argument("--slow", type=int, default=plan.slow)
    options.add_argument("--rate", type=float, default=plan.rate, help="messages per second")
    options.add_argument("--size", type=int, default=plan.size, help="bytes of a message")
    options.add_argument("--seconds", type=float, default=plan.seconds, help="of a round")
    options.add_argument("--rounds", type=int, default=plan.rounds)
    outcome = run_orderly(run(Plan(**vars(options.parse_args(arguments)))))
    print(table("Readers that do not read", rows_of(outcome)))
    if outcome.is_noisy:
        print("NOISY: other programs were busy meanwhile; what is said about time says little")
    for promise in outcome.broken:
        print(f"BROKEN: {promise}")
    print("broken" if outcome.broken else "every promise was kept")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
