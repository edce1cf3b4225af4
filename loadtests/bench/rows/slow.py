# pyright: strict
"""100 of 1,000 never read: what that costs in memory, and what the others notice."""

from dataclasses import dataclass

from loadtests.bench.generator import Load
from loadtests.bench.results import Sample, latencies
from loadtests.bench.rounds import Bench
from loadtests.bench.rows.fanout import message
from loadtests.bench.subjects import serving

LISTENERS, SLOW = 1000, 100
BYTES, PER_SECOND, SECONDS = 9500, 25, 20.0
"""More than the kernel keeps for a socket by itself (tcp_wmem, 4 MB), so that the server has to decide."""


@dataclass(frozen=True)
class Slow:
    """Large messages at a fixed rate, once to readers only, once to readers and others."""

    topic: str = "slow"

    async def run(self, bench: Bench) -> None:
        crowd = await bench.population.crowd(LISTENERS + 1)
        arguments = [*message(crowd, SECONDS, BYTES), "--rate", str(PER_SECOND), "--src-count", "8"]
        for row, slow in (("all read", 0), ("100 do not read", SLOW)):
            for name in bench.turns(0, ("plaza", "node")):
                async with serving(name, bench.grounds) as running:
                    load = await bench.once(running, crowd, [*arguments, "--slow", str(slow)])
                bench.note(row, name, _grown(load))


def _grown(load: Load) -> Sample:
    values = {
        "mb": (load.rss_peak_kb - load.rss_joined_kb) / 1024,
        **latencies(load),
        "cut": float(max(0, load.cut)),
        "us": load.server_cpu_us_per_op,
    }
    return Sample(values, load.other_cpu_pct, tuple(load.faults()))
