"""How a chaos run goes: how many people say how much, what goes wrong meanwhile, how long it may take."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtests import faults
from loadtests.faults import Fault


@dataclass(frozen=True)
class Plan:
    """One run. `rate` is messages per second over all; the same `seed` makes the same choices."""

    clients: int = 50
    talks: int = 20
    sends: int = 10_000
    rate: float = 120.0
    seed: int = 1
    faults: Sequence[Fault] = faults.LONG
    settings: dict[str, str] = field(default_factory=dict[str, str])
    talk_within: float = 420.0
    heal_within: float = 15.0
    away: float = 10.0
    cut_every: float = 1.0


SHORT = Plan(
    clients=16,
    talks=8,
    sends=800,
    rate=80.0,
    faults=faults.SHORT,
    settings={"PLAZA_TIMEOUTS__STREAM_SWEEP": "2"},
    talk_within=60.0,
    heal_within=10.0,
    away=3.0,
)
