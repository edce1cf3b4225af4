"""Chaos (`make chaos`): two processes over one MongoDB and one Redis, killed and cut off while people talk.

A third of the clients use WebSockets, a third long polling, a third the one after the other. They retry every
message through the socket and through REST, ignore 30 % of the acks, lose connections and mark things read.
Afterwards it is asked first who has everything already, without any `sync`; then everybody syncs and
`loadtests.checkers` compares what was acknowledged, what everyone has, and what both nodes show.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import aiohttp

from loadtests import views
from loadtests.checkers import check
from loadtests.client import Client, Manners
from loadtests.crowd import Talk, found_talks, gather_crowd
from loadtests.faults import Trouble
from loadtests.history import History
from loadtests.links import Transport
from loadtests.outcome import Outcome, rows_of
from loadtests.plan import SHORT, Plan
from loadtests.report import table
from loadtests.server import Rig, run_orderly

SHOWN = 20
LAST_WORDS = 4
SURELY_DOWN = 0.3
LATER = 20.0


async def run(plan: Plan) -> Outcome:
    """Run a plan on a rig of its own."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Rig(nodes=2, settings=plan.settings) as rig,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        names = [f"person{plan.seed}x{number}" for number in range(plan.clients)]
        manners = [Manners(transport=transport) for transport in get_args(Transport)]
        crowd = await gather_crowd(http, rig.urls, names, manners)
        try:
            return await Chaos(plan, rig, crowd).run()
        finally:
            await asyncio.gather(*(client.stop() for client in crowd))


class Chaos:
    """One run, phase by phase. A phase that does not end in time is a violation, not the end of the run."""

    def __init__(self, plan: Plan, rig: Rig, crowd: Sequence[Client]) -> None:
        self._plan, self._rig, self._crowd = plan, rig, crowd
        self._dice = random.Random(plan.seed)
        self._outcome = Outcome(plan, History())
        self._talks: list[Talk] = []

    async def run(self) -> Outcome:
        """Meet, talk in trouble, say the last words, and be judged."""
        plan, outcome = self._plan, self._outcome
        await self._meet()
        started = time.monotonic()
        await self._within(plan.talk_within, self._talk_in_trouble())
        outcome.seconds = time.monotonic() - started
        await self._all_synced()
        await self._within(plan.away + LATER, self._last_words())
        await self._see_who_is_whole()
        await self._all_synced()
        await self._within(LATER, self._read_at_last())
        await self._all_synced()
        await self._judge()
        return outcome

    async def _meet(self) -> None:
        """Everybody connects, and finds somebody to talk with."""
        for client in self._crowd:
            client.start()
        await self._all_synced()
        self._talks = await found_talks(self._crowd, self._plan.talks, self._dice)
        members = self._outcome.history.members
        for talk in self._talks:
            members[talk.id] = [self._crowd[place].account.id for place in talk.members]

    async def _within(self, seconds: float, phase: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await phase
        except TimeoutError:
            self._outcome.add("late", phase.__name__, f"did not end within {seconds:.0f} s")

    async def _all_synced(self) -> None:
        """Everybody is connected and has asked for what is missing."""
        for client in self._crowd:
            client.may_sync = True
            client.want_sync()
        waits = [asyncio.create_task(client.synced.wait()) for client in self._crowd]
        await asyncio.wait(waits, timeout=self._plan.heal_within)
        for client, wait in zip(self._crowd, waits, strict=True):
            if not wait.done():
                wait.cancel()
                self._outcome.add("not synced", client.account.id, "asks for more and comes to no end")

    # -- talking

    async def _talk_in_trouble(self) -> None:
        count, sends = len(self._crowd), self._plan.sends
        shares = [sends // count + (place < sends % count) for place in range(count)]

        def progress() -> float:
            return sum(len(client.person.sends) for client in self._crowd) / sends

        trouble = Trouble(self._rig, self._crowd, self._dice, self._plan.away, self._outcome.faults)
        cutting = asyncio.create_task(trouble.lose_connections(self._plan.cut_every))
        try:
            await asyncio.gather(
                trouble.make(self._plan.faults, progress),
                *(self._talk(place, share, self._plan.rate) for place, share in enumerate(shares)),
            )
        finally:
            cutting.cancel()

    async def _talk(self, place: int, share: int, rate: float) -> None:
        """One person's part: messages alone or in bursts, each tried until it is acknowledged; reading."""
        client, left = self._crowd[place], share
        mine = [talk for talk in self._talks if place in talk.members]
        while left > 0:
            burst = min(left, client.random.choice((1, 1, 1, 3)))
            left -= burst
            await asyncio.sleep(client.random.expovariate(rate / len(self._crowd) / burst))
            target = client.random.choice(mine).target(place, self._crowd)
            said = len(client.person.sends)
            texts = [f"{client.account.seed} says {said + number}" for number in range(burst)]
            await asyncio.gather(*(client.send(target, text) for text in texts))
            if client.random.random() < 0.2:
                await self._read(place)

    async def _read(self, place: int) -> None:
        client = self._crowd[place]
        mine = [talk for talk in self._talks if place in talk.members]
        await client.mark_read(client.random.choice(mine).target(place, self._crowd))

    async def _last_words(self) -> None:
        """Everybody says a little more while Redis is away and nobody syncs: no node hears the other."""
        assert self._rig.redis is not None
        for client in self._crowd:
            client.may_sync = False
        away = asyncio.create_task(self._rig.redis.down(self._plan.away))
        await asyncio.sleep(SURELY_DOWN)
        rate = len(self._crowd) * LAST_WORDS / self._plan.away * 2
        await asyncio.gather(*(self._talk(place, LAST_WORDS, rate) for place in range(len(self._crowd))))
        await away

    async def _read_at_last(self) -> None:
        """Read something that no later message of one's own covers."""
        await asyncio.gather(*(self._read(place) for place in range(len(self._crowd))))

    # -- judging

    async def _see_who_is_whole(self) -> None:
        """Without any `sync`: who has everything, because the servers healed what was lost between them."""
        crowd, outcome = self._crowd, self._outcome
        heads = await asyncio.gather(*(views.heads_of(self._rig.urls[0], client) for client in crowd))

        def broken() -> list[Client]:
            return [client for client, head in zip(crowd, heads, strict=True) if not client.state.has(*head)]

        started = time.monotonic()
        outcome.live_at_once = len(crowd) - len(broken())
        while broken() and time.monotonic() < started + self._plan.heal_within:
            await asyncio.sleep(0.1)
        outcome.live, outcome.live_after = len(crowd) - len(broken()), time.monotonic() - started
        for client in broken():
            outcome.add("not healed", client.account.id, "lacks what its node should have said by itself")

    async def _judge(self) -> None:
        outcome, history = self._outcome, self._outcome.history
        history.people = [client.recorded() for client in self._crowd]
        history.views = [await views.view(url, self._crowd, history.members) for url in self._rig.urls]
        outcome.violations += check(history)
        for client in self._crowd:
            if client.state.truncated:
                outcome.add("truncated", client.account.id, "was told that its gap is too large")
        outcome.server_errors = [line for node in self._rig.nodes for line in node.errors()]
        outcome.rows = rows_of(outcome, self._crowd)


def planned(given: argparse.Namespace) -> Plan:
    """The plan asked for on the command line."""
    plan = SHORT if given.short else Plan()
    changes = {name: getattr(given, name) for name in ("clients", "talks", "sends", "rate", "seed")}
    return replace(plan, **{name: value for name, value in changes.items() if value is not None})


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
    outcome = run_orderly(run(planned(given)))
    if given.history is not None:
        outcome.history.write(given.history)
    print(table(f"Chaos, seed {given.seed}", outcome.rows))
    for line in [*outcome.server_errors[:SHOWN], *map(str, outcome.violations[:SHOWN])]:
        print(line)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
