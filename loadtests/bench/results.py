# pyright: strict
"""What was measured: samples of every row and subject, and what is said of them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from loadtests.bench.generator import Load
from loadtests.bench.subjects import Name

CLEAN = 20.0
"""Per cent of a core that strangers may use during a clean run."""


@dataclass(frozen=True)
class Sample:
    """One run: its figures, how busy strangers were (per cent of a core), and what went wrong."""

    values: Mapping[str, float]
    foreign: float
    faults: tuple[str, ...] = ()
    number: int = 0
    """The round it belongs to: what is compared was measured one after the other."""

    @property
    def is_clean(self) -> bool:
        return self.foreign <= CLEAN


def of_traffic(load: Load, number: int) -> Sample:
    """The figures of a fan-out or an echo."""
    costs = {"us": load.server_cpu_us_per_op} if load.ops else {}
    values = {
        **costs,
        "rate": load.ops_per_s,
        **latencies(load),
        "friends": load.friend_cpu_us_per_op,
        "cpu": load.server_cpu_pct,
        "published": load.published_per_s,
    }
    return Sample(values, load.other_cpu_pct, tuple(load.faults()), number)


def latencies(load: Load) -> dict[str, float]:
    """In milliseconds; nothing when nothing was heard."""
    return {"p50": load.p50_us / 1000, "p99": load.p99_us / 1000} if load.ops else {}


@dataclass
class Results:
    """Every sample, by row and subject."""

    samples: dict[tuple[str, Name], list[Sample]] = field(
        default_factory=lambda: defaultdict[tuple[str, Name], list[Sample]](list)
    )

    def add(self, row: str, subject: Name, sample: Sample) -> None:
        self.samples[row, subject].append(sample)

    def has(self, row: str) -> bool:
        return any(of == row for of, _ in self.samples)

    def figure(self, row: str, subject: Name, value: str) -> float | None:
        """The median of the clean runs, of all runs when none was clean; None for what was not measured."""
        samples = self.samples.get((row, subject), [])
        chosen = [sample for sample in samples if sample.is_clean] or samples
        found = [sample.values[value] for sample in chosen if value in sample.values]
        return median(found) if found else None

    def ratio(self, row: str, value: str, over: Name, under: Name) -> float | None:
        """How many times as much `over` has of it as `under`: the median over the rounds of both."""
        pairs = [
            (above, below)
            for above in self.samples.get((row, over), [])
            for below in self.samples.get((row, under), [])
            if above.number == below.number and value in above.values and below.values.get(value)
        ]
        chosen = [pair for pair in pairs if pair[0].is_clean and pair[1].is_clean] or pairs
        found = [above.values[value] / below.values[value] for above, below in chosen]
        return median(found) if found else None

    def foreign(self, row: str, subject: Name) -> tuple[float, bool]:
        """The median share of strangers, and whether no run was clean."""
        samples = self.samples.get((row, subject), [])
        shares = [sample.foreign for sample in samples]
        return (median(shares) if shares else 0.0, not any(sample.is_clean for sample in samples))

    def went_wrong(self, row: str, subject: Name) -> bool:
        """Whether something was lost or refused in a run of it."""
        return any(sample.faults for sample in self.samples.get((row, subject), []))

    def faults(self, of: Name | None = None) -> list[str]:
        """Everything that went wrong (of one subject), each once, with where."""
        said = [
            f"{row}, {subject}: {fault}"
            for (row, subject), samples in self.samples.items()
            if of in {None, subject}
            for sample in samples
            for fault in sample.faults
        ]
        return list(dict.fromkeys(said))
