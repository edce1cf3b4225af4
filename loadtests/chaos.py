"""Chaos (`make chaos`): two processes over one MongoDB and one Redis, killed and cut off while people talk.

Clients retry every message through the socket and through REST, ignore 30 % of the acks, lose connections and
mark things read. Afterwards it is asked first who has everything already, without any `sync`; then everybody
syncs and `loadtests.checkers` compares what was acknowledged, what everyone has, and what both nodes show.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from loadtests import faults, views
from loadtests.checkers import Violation, check
from loadtests.client import Client, Manners
from loadtests.crowd import Talk, found_talks, gather_crowd
from loadtests.faults import Fault, Trouble
from loadtests.history import History
from loadtests.report import milliseconds, percentile, table
from loadtests.server import Rig, run_orderly

SHOWN = 20
LAST_WORDS = 4
SURELY_DOWN = 0.3


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
    talk_within=30.0,
    heal_within=10.0,
    away=3.0,
)


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
    rows: list[tuple[str, object]] = field(default_factory=list[tuple[str, object]])


async def run(plan: Plan) -> Outcome:
    """Run a plan on a rig of its own."""
    async with (
        Rig(nodes=2, settings=plan.settings) as rig,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        ) as http,
    ):
        names = [f"person{plan.seed}x{number}" for number in range(plan.clients)]
        crowd = await gather_crowd(http, rig.urls, names, Manners())
        try:
            return await _run(plan, rig, crowd)
        finally:
            await asyncio.gather(*(client.stop() for client in crowd))


async def _run(plan: Plan, rig: Rig, crowd: Sequence[Client]) -> Outcome:
    dice = random.Random(plan.seed)
    for client in crowd:
        client.start()
    await all_synced(crowd, plan.talk_within)
    talks = await found_talks(crowd, plan.talks, dice)
    outcome = Outcome(plan, History({talk.id: [crowd[m].account.id for m in talk.members] for talk in talks}))
    started = time.monotonic()
    trouble = Trouble(rig, crowd, dice)
    await _talk_in_trouble(plan, crowd, talks, trouble)
    outcome.faults = trouble.log
    talked = time.monotonic() - started
    await all_synced(crowd, plan.heal_within)
    await _last_words(plan, rig, crowd, talks)
    await _see_who_is_whole(outcome, rig, crowd)
    await all_synced(crowd, plan.heal_within)
    await asyncio.gather(
        *(_read_something(client, place, crowd, talks) for place, client in enumerate(crowd))
    )
    await all_synced(crowd, plan.heal_within)
    outcome.history.people = [client.recorded() for client in crowd]
    outcome.history.views = [await views.view(url, crowd, outcome.history.members) for url in rig.urls]
    outcome.violations += check(outcome.history)
    outcome.violations += [
        Violation("truncated", client.account.id, "was told that its gap is too large")
        for client in crowd
        if client.state.truncated
    ]
    outcome.server_errors = [line for node in rig.nodes for line in node.errors()]
    outcome.rows = _rows(outcome, crowd, talked)
    return outcome


async def all_synced(crowd: Sequence[Client], seconds: float) -> None:
    """Everybody is connected and has asked for what is missing."""
    async with asyncio.timeout(seconds):
        for client in crowd:
            client.may_sync = True
            client.want_sync()
        await asyncio.gather(*(client.synced.wait() for client in crowd))


async def _talk_in_trouble(
    plan: Plan, crowd: Sequence[Client], talks: Sequence[Talk], trouble: Trouble
) -> None:
    shares = [plan.sends // len(crowd) + (place < plan.sends % len(crowd)) for place in range(len(crowd))]

    def progress() -> float:
        return sum(len(client.person.sends) for client in crowd) / plan.sends

    cutting = asyncio.create_task(trouble.lose_connections(plan.cut_every))
    try:
        async with asyncio.timeout(plan.talk_within):
            await asyncio.gather(
                trouble.make(plan.faults, progress),
                *(_talk(plan, crowd, place, share, talks) for place, share in enumerate(shares)),
            )
    finally:
        cutting.cancel()


async def _talk(plan: Plan, crowd: Sequence[Client], place: int, share: int, talks: Sequence[Talk]) -> None:
    """One person's part: messages alone or in bursts, each kept up until it is acknowledged, and reading."""
    client, left = crowd[place], share
    targets = [talk.target(place, crowd) for talk in talks if place in talk.members]
    while left > 0:
        burst = min(left, client.random.choice((1, 1, 1, 3)))
        target = client.random.choice(targets)
        said = len(client.person.sends)
        texts = [f"{client.account.seed} says {said + number}" for number in range(burst)]
        left -= burst
        await asyncio.sleep(client.random.expovariate(plan.rate / len(crowd) / burst))
        await asyncio.gather(*(client.send(target, text) for text in texts))
        if client.random.random() < 0.2:
            await _read_something(client, place, crowd, talks)


async def _read_something(client: Client, place: int, crowd: Sequence[Client], talks: Sequence[Talk]) -> None:
    mine = [talk for talk in talks if place in talk.members]
    await client.mark_read(client.random.choice(mine).target(place, crowd))


async def _last_words(plan: Plan, rig: Rig, crowd: Sequence[Client], talks: Sequence[Talk]) -> None:
    """Everybody says a little more while Redis is away and nobody syncs: no node hears the other."""
    assert rig.redis is not None
    for client in crowd:
        client.may_sync = False
    away = asyncio.create_task(rig.redis.down(plan.away))
    await asyncio.sleep(SURELY_DOWN)
    last = replace(plan, rate=len(crowd) * LAST_WORDS / plan.away * 2)
    await asyncio.gather(*(_talk(last, crowd, place, LAST_WORDS, talks) for place in range(len(crowd))))
    await away


async def _see_who_is_whole(outcome: Outcome, rig: Rig, crowd: Sequence[Client]) -> None:
    """Without any `sync`: who has everything, because the servers healed what was lost between them."""
    heads = await asyncio.gather(*(views.heads_of(rig.urls[0], client) for client in crowd))

    def whole() -> list[bool]:
        return [client.state.has(*head) for client, head in zip(crowd, heads, strict=True)]

    started = time.monotonic()
    outcome.live_at_once = sum(whole())
    while not all(whole()) and time.monotonic() < started + outcome.plan.heal_within:
        await asyncio.sleep(0.1)
    outcome.live, outcome.live_after = sum(whole()), time.monotonic() - started
    outcome.violations += [
        Violation("not healed", client.account.id, "lacks what its node should have said by itself")
        for client, is_whole in zip(crowd, whole(), strict=True)
        if not is_whole
    ]


def _rows(outcome: Outcome, crowd: Sequence[Client], talked: float) -> list[tuple[str, object]]:
    sends, numbers = outcome.history.sends, [client.numbers for client in crowd]
    latencies = [one for number in numbers for one in number.latencies]
    stored = sum(len(entries) for entries in outcome.history.views[0].messages.values())
    return [
        ("clients, conversations", f"{len(crowd)}, {len(outcome.history.members)}"),
        ("faults", "; ".join(outcome.faults)),
        ("messages sent", len(sends)),
        ("attempts (socket, REST)", _attempts(outcome.history)),
        ("acks ignored, unanswered, busy", _sums(numbers, "ignored", "unanswered", "retryable")),
        ("acknowledged", sum(bool(send.answers) for send in sends)),
        ("stored", stored),
        ("seconds", f"{talked:.1f} ({len(sends) / talked:.0f} messages/s)"),
        (
            "ack p50, p99",
            f"{milliseconds(percentile(latencies, 0.5))}, {milliseconds(percentile(latencies, 0.99))}",
        ),
        ("connects, syncs, drains obeyed", _sums(numbers, "connects", "syncs", "drains")),
        ("live gaps, repeats", _tracks(crowd)),
        ("log entries", sum(len(person.log) for person in outcome.history.people)),
        (
            "whole without sync",
            f"{outcome.live} of {len(crowd)} {outcome.live_after:.1f} s after Redis was back",
        ),
        ("  of them at once", outcome.live_at_once),
        ("errors in server logs", len(outcome.server_errors)),
        ("violations", len(outcome.violations)),
    ]


def _attempts(history: History) -> str:
    attempts = [one for send in history.sends for one in send.attempts]
    rest = sum(one.door == "rest" for one in attempts)
    return f"{len(attempts):,} ({len(attempts) - rest:,}, {rest:,})"


def _sums(numbers: Sequence[object], *names: str) -> str:
    return ", ".join(f"{sum(getattr(one, name) for one in numbers):,}" for name in names)


def _tracks(crowd: Sequence[Client]) -> str:
    tracks = [track for client in crowd for track in client.state.tracks]
    return f"{sum(track.jumps for track in tracks):,}, {sum(track.repeats for track in tracks):,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every promise was kept."""
    options = argparse.ArgumentParser(prog="python -m loadtests.chaos", description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--short", action="store_true", help="the run of the tests")
    options.add_argument("--clients", type=int)
    options.add_argument("--talks", type=int)
    options.add_argument("--sends", type=int)
    options.add_argument("--rate", type=float, help="messages per second over all clients")
    options.add_argument("--history", type=Path, help="write everything that happened to this file")
    given = options.parse_args(arguments)
    plan = SHORT if given.short else Plan()
    changes = {name: getattr(given, name) for name in ("clients", "talks", "sends", "rate")}
    chosen = {name: value for name, value in changes.items() if value is not None}
    outcome = run_orderly(run(Plan(**{**vars(plan), **chosen, "seed": given.seed})))
    if given.history is not None:
        outcome.history.write(given.history)
    print(table(f"Chaos, seed {given.seed}", outcome.rows))
    for line in [*outcome.server_errors[:SHOWN], *map(str, outcome.violations[:SHOWN])]:
        print(line)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
