"""The part of docs/performance.md on search."""

from collections.abc import Sequence

from loadtests.bench import machine, page
from loadtests.report import percentile

MILLI = 1000
SHARES = (0.5, 0.95, 0.99)


def write(rows: Sequence[tuple[str, Sequence[float]]], people: int, rate: float, aim: float) -> None:
    """Put the figures into the page."""
    page.write_part(page.SEARCH, _part(rows, people, rate, aim))


def _part(rows: Sequence[tuple[str, Sequence[float]]], people: int, rate: float, aim: float) -> str:
    waits = rows[-1][1]
    p95 = percentile(waits, 0.95) * MILLI
    verdict = "reached" if p95 <= aim * MILLI else "**missed**"
    lines = [
        "| "
        + " | ".join((kind, f"{len(found):,}", *(f"{percentile(found, at) * MILLI:.1f}" for at in SHARES)))
        + " |"
        for kind, found in rows
    ]
    return "\n".join(
        (
            "## Search",
            "",
            f"`make bench-search`: {people:,} people of twelve scripts, 50,000 messages in 40 groups, on",
            f"{machine.describe()}. {rate:g} searches a second by five people with 200 to 5,000 friends;",
            "server, mongod and who asks share all cores. Latencies count from when a search was due,",
            "over HTTP, with everything that a request does.",
            "",
            f"Aim: p95 of all at most {aim * MILLI:.0f} ms. Measured: {p95:.1f} ms, {verdict}.",
            "",
            "| milliseconds | searches | p50 | p95 | p99 |",
            "| --- | --- | --- | --- | --- |",
            *lines,
        )
    )
