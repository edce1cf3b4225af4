# pyright: strict
"""The order of things: rounds in which every subject has its turn, so that a slow minute hits them all."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from loadtests.bench import generator
from loadtests.bench.generator import Load
from loadtests.bench.population import Crowd, Population
from loadtests.bench.results import CLEAN, Results, Sample
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

    def wants(self, name: Name) -> bool:
        return self.subjects is None or name in self.subjects

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
    async def serving(self, name: Name) -> AsyncGenerator[Running]:
        """One process of a subject, on the servers' core."""
        async with serving(name, self.grounds) as running:
            yield running


class Scene(Protocol):
    """Rows that share a crowd and a server."""

    @property
    def topic(self) -> str:
        """What it is called on the command line."""
        ...

    def subjects(self, number: int) -> Sequence[Name]:
        """Who takes part in round `number` (from 0)."""
        ...

    async def run(self, bench: Bench, name: Name) -> None:
        """Measure one subject and note its samples."""
        ...


async def run_all(bench: Bench, scenes: Sequence[Scene]) -> None:
    """All scenes in all rounds; subjects take turns in going first."""
    for scene in scenes:
        for number in range(bench.pace.rounds):
            names: list[Name] = [one for one in scene.subjects(number) if bench.wants(one)]
            for turn in range(len(names)):
                await scene.run(bench, names[(number + turn) % len(names)])
