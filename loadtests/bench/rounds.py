# pyright: strict
"""The order of things: what is compared is measured one after the other, so that a slow minute hits all."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from loadtests.bench import generator
from loadtests.bench.generator import Load
from loadtests.bench.population import Crowd, Population
from loadtests.bench.results import CLEAN, Results, Sample, of_traffic
from loadtests.bench.subjects import Grounds, Name, Running, serving

SETTLE = 0.4


@dataclass(frozen=True)
class Pace:
    """How long and how often; for `repeats_until` seconds dirty runs are repeated up to `again` times."""

    rounds: int
    seconds: float
    idle: float
    again: int
    repeats_until: float


@dataclass
class Bench:
    """What rows measure with."""

    grounds: Grounds
    population: Population
    pace: Pace
    subjects: Sequence[Name] | None = None
    """Only these, if given."""
    results: Results = field(default_factory=Results)
    started: float = field(default_factory=time.monotonic)

    def turns(self, number: int, names: Sequence[Name]) -> list[Name]:
        """Those of `names` that are wanted, in round `number` (from 0) with another one first."""
        wanted: list[Name] = [name for name in names if self.subjects is None or name in self.subjects]
        first = number % len(wanted) if wanted else 0
        return [*wanted[first:], *wanted[:first]]

    async def load(self, running: Running, crowd: Crowd, arguments: Sequence[str]) -> Load:
        """One run of the generator against a subject; again while strangers are busy and there is time."""
        best: Load | None = None
        for _ in range(1 + self.pace.again):
            load = await self.once(running, crowd, arguments)
            if best is None or load.other_cpu_pct < best.other_cpu_pct:
                best = load
            if best.other_cpu_pct <= CLEAN or time.monotonic() - self.started > self.pace.repeats_until:
                break
        assert best is not None
        return best

    async def once(
        self, running: Running, crowd: Crowd, arguments: Sequence[str], longest: float = generator.LONGEST
    ) -> Load:
        """One run of the generator, however busy strangers are."""
        mode, *rest = arguments
        common = ["-n", str(crowd.connections), "--auth-file", str(crowd.auths), "--settle", str(SETTLE)]
        return await generator.run([mode, *common, *running.arguments(), *rest], longest)

    def note(self, row: str, subject: Name, sample: Sample) -> None:
        """Keep a sample, and tell whoever waits."""
        self.results.add(row, subject, sample)
        shown = "  ".join(f"{name} {value:,.2f}" for name, value in sample.values.items())
        marks = "".join(f"  {fault.upper()}" for fault in sample.faults)
        print(f"{row:<18} {subject:<10} {shown}  strangers {sample.foreign:.0f} %{marks}", flush=True)

    @asynccontextmanager
    async def serving(self, names: Sequence[Name]) -> AsyncGenerator[dict[Name, Running]]:
        """One process of each subject, all on the servers' core: who is not asked does next to nothing."""
        async with AsyncExitStack() as stack:
            servers: dict[Name, Running] = {}
            for name in self.turns(0, names):
                servers[name] = await stack.enter_async_context(serving(name, self.grounds))
            yield servers


class Scene(Protocol):
    """Rows that belong together."""

    @property
    def topic(self) -> str:
        """What it is called on the command line."""
        ...

    async def run(self, bench: Bench) -> None:
        """Measure all subjects in rounds, and note the samples."""
        ...


@dataclass(frozen=True)
class Row:
    """One load, the same for every subject; `once`: those for whom one round is enough."""

    name: str
    arguments: Sequence[str]
    once: frozenset[Name] = frozenset()


async def compare(
    bench: Bench, crowd: Crowd, rows: Sequence[Row], names: Sequence[Name], most: int = 3
) -> None:
    """Measure rows in rounds; in each, of each row, one subject after the other; at most so many rounds."""
    if not rows:
        return
    async with bench.serving(names) as servers:
        for number in range(min(bench.pace.rounds, most)):
            for row in rows:
                for name in bench.turns(number, names):
                    if number and name in row.once:
                        continue
                    load = await bench.load(servers[name], crowd, row.arguments)
                    bench.note(row.name, name, of_traffic(load, number))
