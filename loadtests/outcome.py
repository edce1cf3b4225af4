"""What came of a chaos run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtests.checkers import Violation, counted
from loadtests.client import Client
from loadtests.history import History
from loadtests.plan import Plan
from loadtests.report import milliseconds, percentile

Rows = list[tuple[str, object]]


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    history: History
    violations: list[Violation] = field(default_factory=list[Violation])
    faults: list[str] = field(default_factory=list[str])
    live_at_once: int = 0
    live: int = 0
    live_after: float = 0.0
    server_errors: list[str] = field(default_factory=list[str])
    rows: Rows = field(default_factory=list[tuple[str, object]])
    seconds: float = 0.0
    """How long they talked."""

    def add(self, kind: str, where: str, what: str) -> None:
        self.violations.append(Violation(kind, where, what))


def rows_of(outcome: Outcome, crowd: Sequence[Client]) -> Rows:
    """What the table shows."""
    sends, numbers = outcome.history.sends, [client.numbers for client in crowd]
    latencies = [one for number in numbers for one in number.latencies]
    stored = sum(len(entries) for entries in outcome.history.views[0].messages.values())
    kinds = Counter(client.transport for client in crowd)
    return [
        ("clients, conversations", f"{len(crowd)}, {len(outcome.history.members)}"),
        ("transports", ", ".join(f"{kind} {count}" for kind, count in kinds.items())),
        ("faults", "; ".join(outcome.faults)),
        ("messages sent", len(sends)),
        ("attempts (socket, REST)", _attempts(outcome.history)),
        ("acks ignored, unanswered, busy", _sums(numbers, "ignored", "unanswered", "retryable")),
        ("acknowledged", sum(bool(send.answers) for send in sends)),
        ("stored", stored),
        ("seconds", f"{outcome.seconds:.1f} ({len(sends) / outcome.seconds:.0f} messages/s)"),
        (
            "ack p50, p99",
            f"{milliseconds(percentile(latencies, 0.5))}, {milliseconds(percentile(latencies, 0.99))}",
        ),
        ("connects, syncs, drains obeyed", _sums(numbers, "connects", "syncs", "drains")),
        ("gaps heard in step", _sums(numbers, "gaps")),
        ("early and repeated entries", _tracks(crowd)),
        ("log entries", sum(len(person.log) for person in outcome.history.people)),
        (
            "whole without sync",
            f"{outcome.live} of {len(crowd)} {outcome.live_after:.1f} s after Redis was back",
        ),
        ("  of them at once", outcome.live_at_once),
        ("errors in server logs", len(outcome.server_errors)),
        ("violations", counted(outcome.violations)),
    ]


def _attempts(history: History) -> str:
    attempts = [one for send in history.sends for one in send.attempts]
    rest = sum(one.door == "rest" for one in attempts)
    return f"{len(attempts):,} ({len(attempts) - rest:,}, {rest:,})"


def _sums(numbers: Sequence[object], *names: str) -> str:
    return ", ".join(f"{sum(getattr(one, name) for one in numbers):,}" for name in names)


def _tracks(crowd: Sequence[Client]) -> str:
    tracks = [track for client in crowd for track in client.state.tracks]
    return f"{sum(client.state.jumps for client in crowd):,}, {sum(track.repeats for track in tracks):,}"
