"""The part of docs/performance.md on search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.bench import machine, page
from loadtests.report import percentile

MILLI = 1000
SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How it was measured."""

    people: int
    rate: float
    aim: float
    shares: Mapping[str, float]


def used(shares: Mapping[str, float]) -> str:
    """Who had how much of a core."""
    return "CPU, of one core: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def write(rows: Sequence[tuple[str, Sequence[float]]], how: Conditions) -> None:
    """Put the figures into the page."""
    page.write_part(page.SEARCH, _part(rows, how))


def _part(rows: Sequence[tuple[str, Sequence[float]]], how: Conditions) -> str:
    p95 = percentile(rows[-1][1], 0.95) * MILLI
    verdict = "reached" if p95 <= how.aim * MILLI else "**missed**"
    return "\n".join(
        (
            "## Search",
            "",
            f"`make bench-search`: {how.people:,} people of twelve scripts, 50,000 messages in 40 groups, on",
            f"{machine.describe()}. {how.rate:g} searches a second by five people with 200 to 5,000 friends;",
            "server, mongod and who asks share all cores. Latencies count from when a search was due,",
            f"over HTTP, with everything that a request does. {used(how.shares)}.",
            "",
            f"Aim: p95 of all at most {how.aim * MILLI:.0f} ms. Measured: {p95:.1f} ms, {verdict}.",
            "",
            "| milliseconds | searches | p50 | p95 | p99 |",
            "| --- | --- | --- | --- | --- |",
            *(_line(kind, found) for kind, found in rows),
        )
    )


def _line(kind: str, waits: Sequence[float]) -> str:
    figures = [f"{percentile(waits, at) * MILLI:.1f}" for at in SHARES]
    return f"| {' | '.join((kind, f'{len(waits):,}', *figures))} |"
