# pyright: strict
"""Two processes over Redis: what a broadcast costs both, beside one process and beside Node's adapter."""

from dataclasses import dataclass

from loadtests.bench import bus
from loadtests.bench.generator import Load
from loadtests.bench.results import Sample, latencies
from loadtests.bench.rounds import Bench
from loadtests.bench.rows.fanout import typing
from loadtests.bench.subjects import serving

LISTENERS = 2
UNDER_WAY = 16
ROUNDS = 2
BUS_RATE, BUS_COUNT = 20_000, 40_000


@dataclass(frozen=True)
class Bus:
    """Somebody types on one process; one listens there, one on the other."""

    topic: str = "bus"

    async def run(self, bench: Bench) -> None:
        crowd = await bench.population.crowd(LISTENERS + 1)
        arguments = [*typing(crowd, bench.pace.seconds), "--window", str(UNDER_WAY)]
        for number in range(min(bench.pace.rounds, ROUNDS)):
            for row, processes in (("one process", 1), ("two processes", 2)):
                for name in bench.turns(number, ("plaza", "node")):
                    async with serving(name, bench.grounds, processes=processes) as running:
                        load = await bench.load(running, crowd, arguments)
                    bench.note(row, name, _per_broadcast(load, number))
        if bench.turns(0, ("plaza",)):
            await _without_sockets(bench)


def _per_broadcast(load: Load, number: int) -> Sample:
    us, friends = load.server_cpu_us_per_op * LISTENERS, load.friend_cpu_us_per_op * LISTENERS
    values = {"us": us, "friends": friends, "rate": load.published_per_s, **latencies(load)}
    return Sample(values, load.other_cpu_pct, tuple(load.faults()), number)


async def _without_sockets(bench: Bench) -> None:
    """The fan-out and the bus of two processes without sockets and commands, and whether order is kept."""
    found = (await bus.measure(rates=(BUS_RATE,), rounds=1, count=BUS_COUNT))[f"plaza at {BUS_RATE}"]
    faults = (f"{found['strays']:.0f} broadcasts out of order",) if found["strays"] else ()
    bench.note("bus alone", "plaza", Sample({"us": found["us"], "rate": found["rate"]}, 0.0, faults))
