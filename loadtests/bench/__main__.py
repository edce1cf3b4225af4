# pyright: strict
"""`make bench`: builds, starts and measures everything, prints the tables and writes docs/performance.md.

A whole run takes about a quarter of an hour; `--quick` measures one short round and only prints.
"""

import argparse
import sys
from collections.abc import Sequence

from loadtests.bench import generator, machine, nodejs, page, report
from loadtests.bench.generator import BenchError
from loadtests.bench.grounds import opened
from loadtests.bench.machine import Cores
from loadtests.bench.results import Results
from loadtests.bench.rounds import Pace, Scene
from loadtests.bench.rows.bus import Bus
from loadtests.bench.rows.connections import Connections
from loadtests.bench.rows.crowd import Many
from loadtests.bench.rows.echo import Echo
from loadtests.bench.rows.fanout import Fanout
from loadtests.bench.rows.slow import Slow
from loadtests.server import run_orderly

FULL = Pace(rounds=3, seconds=2.0, idle=10.0, again=2, repeats_until=300.0)
QUICK = Pace(rounds=1, seconds=1.0, idle=3.0, again=0, repeats_until=0.0)
SIZES = "100,1000,5000"


def scenes(given: argparse.Namespace) -> list[Scene]:
    """What is to be measured."""
    if given.connections:
        return [Many(given.connections)]
    fanouts = [
        Fanout(1000, burst=2, latency=True, messages=True),
        Fanout(5000, burst=2, rounds=2),
        Fanout(100, burst=8, rounds=2),
    ]
    sized = [one for one in fanouts if str(one.listeners) in given.sizes]
    every: list[Scene] = [Echo(), *sized, Bus(), Connections(), Slow()]
    return [scene for scene in every if given.only is None or scene.topic in given.only]


async def measure(cores: Cores, given: argparse.Namespace) -> Results:
    """Measure all scenes, with everything that takes, and clean up."""
    pace = QUICK if given.quick else FULL
    async with opened(cores, pace, given.node) as bench:
        bench.subjects = given.subjects
        for scene in scenes(given):
            await scene.run(bench)
        return bench.results


def run(given: argparse.Namespace) -> Results:
    """Build and isolate, measure, print, and write what is complete."""
    if sys.platform != "linux":
        raise BenchError("The benchmark reads /proc and waits with epoll: it needs Linux.")
    generator.build()
    nodejs.install()
    given.node = given.node or nodejs.find_node()
    machine.raise_descriptors()
    network = machine.isolate()
    print(f"{machine.describe()}; {network}", flush=True)
    cores = machine.find_cores()
    if not given.connections:
        cores.pin_generator()
    results = run_orderly(measure(cores, given))
    if given.connections:
        print(f"\n{page.many(results, network)}\n\n{report.faults(results)}")
        page.write_many(results, network)
        return results
    for part in (report.goals(results), report.figures(results), report.NOTE, report.faults(results)):
        print(f"\n{part}" if part else "")
    if not (given.quick or given.only or given.subjects or given.sizes != SIZES.split(",")):
        page.write(results, network, given.node, FULL.rounds)
    return results


def _listed(text: str) -> list[str]:
    return text.split(",")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when Plaza lost or refused something, or nothing could be measured."""
    about = (__doc__ or "").replace("\n", " ")
    options = argparse.ArgumentParser(prog="python -m loadtests.bench", description=about)
    options.add_argument("--quick", action="store_true", help="one short round")
    options.add_argument("--only", type=_listed, help="topics: echo,fanout,bus,connect,slow")
    options.add_argument("--subjects", type=_listed, help="plaza,node,node-open,stock,limit")
    options.add_argument("--sizes", type=_listed, default=_listed(SIZES), help=f"of groups: {SIZES}")
    options.add_argument("--node", help="another Node than the one of the environment")
    options.add_argument("--connections", type=int, default=0, help="so many at once, and nothing else")
    try:
        results = run(options.parse_args(arguments))
    except BenchError as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 1 if results.faults("plaza") else 0


if __name__ == "__main__":
    sys.exit(main())
