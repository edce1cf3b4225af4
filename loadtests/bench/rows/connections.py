# pyright: strict
"""10,000 come, stay, and leave at once."""

import asyncio
from dataclasses import dataclass

from loadtests.bench.generator import Load
from loadtests.bench.machine import cpu_seconds
from loadtests.bench.results import Sample
from loadtests.bench.rounds import Bench
from loadtests.bench.subjects import Name, Running, serving

GROUP = 100
WARM = 200
ROUNDS = 2
SUBJECTS: tuple[Name, ...] = ("plaza", "node", "node-open", "stock")
AFTERMATH = 8.0
"""Seconds after the end of all connections in which their work may go on (people are missed after five)."""
TICK, QUIET_TICKS = 0.1, 3
"""At once ends with three tenths of a second in which the server's clock stands still."""


@dataclass(frozen=True)
class Connections:
    """Each connection has its own account, and a group of 100 that it listens to."""

    count: int = 10_000
    topic: str = "connect"

    async def run(self, bench: Bench) -> None:
        crowd = await bench.population.crowd(self.count, group=GROUP)
        few = await bench.population.crowd(WARM, group=GROUP)
        for number in range(min(bench.pace.rounds, ROUNDS)):
            for name in bench.turns(number, SUBJECTS if number == 0 else SUBJECTS[:3]):
                async with serving(name, bench.grounds) as running:
                    await bench.once(running, few, ["connect", "--idle", "0.5"])
                    load = await bench.once(running, crowd, ["connect", "--idle", str(bench.pace.idle)])
                    leaving = await _leaving(running, load, number)
                bench.note("connect", name, _coming(load, number))
                bench.note("idle", name, _staying(load, number))
                bench.note("leave", name, leaving)


def _coming(load: Load, number: int) -> Sample:
    values = {
        "us": load.connect_server_cpu_us,
        "rate": load.connect_per_s,
        "friends": load.connect_friend_cpu_us,
        "turned_away": float(load.turned_away),
    }
    return Sample(values, load.connect_other_cpu_pct, tuple(load.faults()), number)


def _staying(load: Load, number: int) -> Sample:
    values = {"kb": load.rss_per_conn_kb, "cpu": load.server_cpu_pct}
    return Sample(values, load.other_cpu_pct, number=number)


async def _leaving(running: Running, load: Load, number: int) -> Sample:
    """The generator has ended: what that costs the server, at once and with everything that follows."""
    before, used = load.server_cpu_s, sum(map(cpu_seconds, running.pids))
    quiet, at_once = 0, 0.0
    for _ in range(int(AFTERMATH / TICK)):
        await asyncio.sleep(TICK)
        now = sum(map(cpu_seconds, running.pids))
        if quiet < QUIET_TICKS:
            quiet, at_once = (quiet + 1 if now == used else 0), now - before
        used = now
    each = 1e6 / load.joined
    values = {"us": at_once * each, "in_all": (used - before) * each}
    return Sample(values, load.other_cpu_pct, number=number)
