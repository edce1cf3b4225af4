# pyright: strict
"""`make bench`: builds, starts and measures everything, and prints the table."""

import argparse
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from common.engines import Engines
from documents.connection import initiate_replica_set
from loadtests.bench import generator, machine, nodejs
from loadtests.bench.generator import BenchError
from loadtests.bench.machine import Cores
from loadtests.bench.population import Population
from loadtests.bench.rounds import Bench, Pace, Scene, run_all
from loadtests.bench.rows.connections import Connections
from loadtests.bench.rows.echo import Echo
from loadtests.bench.rows.fanout import Fanout
from loadtests.bench.subjects import Grounds
from loadtests.server import run_orderly

DATABASE = "bench"
FULL = Pace(rounds=3, seconds=2.0, idle=10.0, again=2, repeats_until=600.0)
QUICK = Pace(rounds=1, seconds=1.5, idle=3.0, again=0, repeats_until=0.0)


def scenes(sizes: Sequence[str]) -> list[Scene]:
    """What can be measured, what matters most first."""
    fanouts = [
        Fanout(1000, burst=2, latency=True, messages=True),
        Fanout(5000, burst=2),
        Fanout(100, burst=8),
    ]
    return [Echo(), *(one for one in fanouts if str(one.listeners) in sizes), Connections()]


def _listed(text: str) -> list[str]:
    return text.split(",")


@asynccontextmanager
async def opened(cores: Cores, pace: Pace, node: str) -> AsyncGenerator[Bench]:
    """A MongoDB beside the generator, and a folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="plaza-bench-"))
    try:
        async with Engines(folder / "mongo", mongo=True, redis=False, cache_gb=1.0) as engines:
            await initiate_replica_set(engines.mongo_url)
            secret = secrets.token_urlsafe(48)
            population = Population(engines.mongo_url, DATABASE, secret, folder)
            await population.open()
            grounds = Grounds(cores, folder, engines.mongo_url, engines.mongo_pid, DATABASE, secret, node)
            try:
                yield Bench(grounds, population, pace)
            finally:
                await population.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def measure(cores: Cores, given: argparse.Namespace, chosen: Sequence[Scene]) -> None:
    pace, node = QUICK if given.quick else FULL, given.node or nodejs.find_node()
    async with opened(cores, pace, node) as bench:
        bench.subjects = given.subjects
        await run_all(bench, chosen)
    for fault in bench.results.faults():
        print(fault)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when the benchmark could not be run."""
    options = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="one short round")
    options.add_argument("--only", type=_listed, help="some topics, with commas between")
    options.add_argument("--node", help="another Node than the one of the environment")
    options.add_argument("--subjects", type=_listed, help="only these, with commas between")
    options.add_argument("--sizes", type=_listed, default=["100", "1000", "5000"], help="of groups")
    given = options.parse_args(arguments)
    chosen = [scene for scene in scenes(given.sizes) if given.only is None or scene.topic in given.only]
    try:
        generator.build()
        nodejs.install()
        cores = machine.find_cores()
        machine.raise_descriptors()
        print(machine.describe(), "-", machine.isolate())
        cores.pin_generator()
        run_orderly(measure(cores, given, chosen))
    except BenchError as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
