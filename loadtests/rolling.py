"""A rolling restart (`make rolling`): two processes are replaced in turn, again and again, under load.

Conforming clients talk through a front that knows which process is ready. Each process is told to stop
(SIGTERM), lets its clients go, and is started again, ten times. Nothing acknowledged may be lost or doubled,
no request may be answered with 5xx, every socket is told before it ends, and reconnects are spread out.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

from loadtests.chaos import Chaos
from loadtests.client import Client, Manners
from loadtests.crowd import gather_crowd
from loadtests.outcome import Outcome, Rows
from loadtests.plan import Plan
from loadtests.report import table
from loadtests.rolling_front import Front
from loadtests.server import Rig, run_orderly

SPREAD = 0.75
"""The share of the drain over which clients are asked to come back."""
CROWDED = 3.0
"""No second may see more reconnects than so many times its even share, once there are enough to tell."""
ENOUGH = 30
SHOWN = 20


@dataclass(frozen=True)
class Roll:
    """How often, and under which load."""

    restarts: int = 10
    clients: int = 100
    talks: int = 40
    rate: float = 60.0
    drain: float = 8.0
    seed: int = 1

    def plan(self) -> Plan:
        """The same for the crowd."""
        return Plan(
            clients=self.clients,
            talks=self.talks,
            rate=self.rate,
            seed=self.seed,
            faults=(),
            settings={
                "PLAZA_TIMEOUTS__DRAIN": str(self.drain),
                "PLAZA_TIMEOUTS__STREAM_SWEEP": "2",
                "PLAZA_LOG_LEVEL": "info",
            },
            talk_within=self.restarts * 2 * (self.drain + 25.0),
        )


@dataclass
class Seen:
    """What the crowd met at the doors."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    faults: list[str] = field(default_factory=list[str])
    """REST answers that no client should get."""
    turned_away: int = 0
    unmannerly: list[str] = field(default_factory=list[str])
    """Sockets turned away without being told when to come back."""
    drains: list[float] = field(default_factory=list[float])
    crowded: float = 0.0
    """The most reconnects of one second, as a multiple of its even share."""

    def tracing(self) -> aiohttp.TraceConfig:
        """Notes every answer of a session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        return trace

    async def _answered(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        status = end.response.status
        if end.url.path.startswith("/socket.io"):
            self.turned_away += status != 101
            if status not in (101, 429) and not (status == 503 and "Retry-After" in end.response.headers):
                self.unmannerly.append(f"{status} {end.url}")
            return
        self.statuses[status] += 1
        if status >= 500:
            self.faults.append(f"{status} {end.method} {end.url.path}")


class Rolling(Chaos):
    """The crowd of the chaos runs, while nodes are replaced in an orderly way."""

    def __init__(self, roll: Roll, rig: Rig, crowd: Sequence[Client], seen: Seen) -> None:
        super().__init__(roll.plan(), rig, crowd)
        self._roll, self._seen = roll, seen

    async def run(self) -> Outcome:
        """Meet, talk while everything is replaced, and be judged."""
        await self._meet()
        started = time.monotonic()
        await self._within(self._plan.talk_within, self._talk_while_rolling())
        self._outcome.seconds = time.monotonic() - started
        await self._all_synced()
        await self._judge()
        self._judge_manners()
        return self._outcome

    async def _talk_while_rolling(self) -> None:
        over = asyncio.Event()
        await asyncio.gather(
            self._replace_all(over), *(self._talk_until(place, over) for place in range(len(self._crowd)))
        )

    async def _talk_until(self, place: int, over: asyncio.Event) -> None:
        while not over.is_set():
            await self._talk(place, 1, self._plan.rate)

    async def _replace_all(self, over: asyncio.Event) -> None:
        try:
            for _ in range(self._roll.restarts):
                for node in self._rig.nodes:
                    began = asyncio.get_running_loop().time()
                    self._seen.drains.append(await node.drain())
                    await self._all_connected()
                    self._look_at_spread(began)
                    await node.start()
        finally:
            over.set()

    async def _all_connected(self) -> None:
        async with asyncio.timeout(self._plan.heal_within):
            while not all(client.wire is not None for client in self._crowd):
                await asyncio.sleep(0.02)

    def _look_at_spread(self, began: float) -> None:
        moments = [at for client in self._crowd for at in client.numbers.connected_at if at >= began]
        if len(moments) < ENOUGH:
            return
        a_second = Counter(int(at - began) for at in moments)
        even = len(moments) / max(1.0, self._roll.drain * SPREAD)
        self._seen.crowded = max(self._seen.crowded, max(a_second.values()) / even)

    def _judge_manners(self) -> None:
        outcome, seen = self._outcome, self._seen
        for fault in seen.faults[:SHOWN]:
            outcome.add("5xx", "REST", fault)
        for refusal in seen.unmannerly[:SHOWN]:
            outcome.add("no word when", "sockets", refusal)
        for client in self._crowd:
            numbers = client.numbers
            if numbers.connects - 1 > numbers.drains:
                what = f"{numbers.connects - 1} ends, {numbers.drains} of them announced"
                outcome.add("unannounced", client.account.id, what)
        if seen.crowded > CROWDED:
            outcome.add("crowded", "reconnects", f"{seen.crowded:.1f} times the even share in one second")


async def run(roll: Roll) -> tuple[Outcome, Seen]:
    """Roll on a rig of one's own."""
    seen, plan = Seen(), roll.plan()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Rig(nodes=2, settings=plan.settings) as rig,
        Front(rig.nodes) as front,
        aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[seen.tracing()]
        ) as http,
    ):
        names = [f"person{roll.seed}x{number}" for number in range(roll.clients)]
        crowd = await gather_crowd(http, [front.url], names, [Manners()])
        try:
            return await Rolling(roll, rig, crowd, seen).run(), seen
        finally:
            await asyncio.gather(*(client.stop() for client in crowd))


def rolling_rows(outcome: Outcome, seen: Seen) -> Rows:
    """What the table shows beside what every chaos run shows."""
    statuses = ", ".join(f"{number:,} of {status}" for status, number in sorted(seen.statuses.items()))
    return [
        ("restarts", len(seen.drains)),
        ("seconds from SIGTERM to the end", f"{min(seen.drains):.1f} to {max(seen.drains):.1f}"),
        ("REST answers", statuses),
        ("sockets turned away at the door", seen.turned_away),
        ("most reconnects in a second", f"{seen.crowded:.1f} times the even share"),
        *(row for row in outcome.rows if "whole" not in row[0] and "at once" not in row[0]),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every promise was kept."""
    options = argparse.ArgumentParser(prog="python -m loadtests.rolling", description=__doc__)
    roll = Roll()
    options.add_argument("--restarts", type=int, default=roll.restarts, help="of each process")
    options.add_argument("--clients", type=int, default=roll.clients)
    options.add_argument("--talks", type=int, default=roll.talks)
    options.add_argument("--rate", type=float, default=roll.rate, help="messages per second over all clients")
    options.add_argument("--drain", type=float, default=roll.drain, help="seconds")
    options.add_argument("--seed", type=int, default=roll.seed)
    outcome, seen = run_orderly(run(Roll(**vars(options.parse_args(arguments)))))
    print(table("Rolling restart", rolling_rows(outcome, seen)))
    for line in [*outcome.server_errors[:SHOWN], *map(str, outcome.violations[:SHOWN])]:
        print(line)
    print("broken" if outcome.violations else "every promise was kept")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
