"""`make bench-search`: how long people wait for a search, in a town of 100,000.

The server is the one that anybody runs, with its own mongod beside it; the people are in the database before
it is asked. Several searchers ask by REST at a low, even rate, however long answers take: latencies count
from when a question was due. The mix is what people type: beginnings that many share, rare ones, whole names,
single Chinese characters, parts of words, interests, words that nobody has, and pages behind the first.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtests import search_page
from loadtests.client import Account
from loadtests.cpu import Cpu
from loadtests.crowd import sign_up
from loadtests.report import milliseconds, percentile, table
from loadtests.search_page import Conditions, used
from loadtests.search_talk import spoken
from loadtests.search_town import fill
from loadtests.server import Rig, run_orderly

SEARCHERS = 5
AIM = 0.05
WARM_UP = 5.0

COMMON = "beginnings many share"
KINDS: dict[str, Sequence[str]] = {
    COMMON: ("a", "jo", "ma", "ann", "m", "s", "user", "the", "ан", "μα"),
    "single characters, CJK": ("王", "李", "김", "田", "伟", "さ"),
    "rarer beginnings": ("quen", "göt", "xq", "inger", "björ", "ξ", "欧阳", "เจริญ", "علي"),
    "whole names": (
        "john smith",
        "jennifer o'neill",
        "MARIA",
        "мария иванов",
        "王小龙",
        "سارة حداد",
        "zoe schafer",
    ),
    "parts of words": ("ohn", "hans", "auer", "ович", "小龙", "ชาย", "dsmi"),
    "two common words": ("jo sm", "an mi", "john an", "li an", "ma ga"),
    "interests": ("jazz", "falconry", "写真", "шахматы", "theatre"),
    "nobody": ("zzxqy", "qwrtp jo", "龘", "john zzxqy", "(a+)+$"),
}
PAGED, DEEP, SUGGESTED, SAID = "second to fifth pages", "page 5 by number", "suggestions", "messages"

Question = Callable[[], Awaitable[None]]


@dataclass
class Bench:
    """Who asks, and how long they waited for what."""

    http: aiohttp.ClientSession
    url: str
    searchers: Sequence[Account]
    dice: random.Random = field(default_factory=lambda: random.Random(3))
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list[float]))
    wrong: list[str] = field(default_factory=list[str])
    shares: dict[str, float] = field(default_factory=dict[str, float])
    """Of one core, by process, and of all strangers."""

    async def run(self, rate: float, seconds: float) -> None:
        """Ask at even distances."""
        kinds = [*KINDS, PAGED, DEEP, SAID, SAID, SUGGESTED]
        started, asked = time.perf_counter(), 0
        async with asyncio.TaskGroup() as group:
            while asked < rate * seconds:
                due = started + asked / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self._ask(kinds[asked % len(kinds)], due))
                asked += 1

    async def _ask(self, kind: str, due: float) -> None:
        who, common = self.dice.choice(self.searchers), self.dice.choice(KINDS[COMMON])
        if kind == PAGED:
            await self._pages(who, common)
        elif kind == DEEP:
            await self._get(who, "/api/search", {"q": common, "page": "5"}, (kind, due))
        elif kind == SAID:
            await self._get(who, "/api/search", {"type": "messages", "q": spoken(self.dice)}, (kind, due))
        elif kind == SUGGESTED:
            await self._get(who, "/api/friends/suggestions", {}, (kind, due))
        else:
            await self._get(who, "/api/search", {"q": self.dice.choice(KINDS[kind])}, (kind, due))

    async def _pages(self, who: Account, query: str) -> None:
        """Five pages, of which all but the first count."""
        page = await self._get(who, "/api/search", {"q": query}, None)
        for _ in range(4):
            cursor = page["pagination"]["next_cursor"]
            if cursor is None:
                return
            asked = {"q": query, "cursor": cursor}
            page = await self._get(who, "/api/search", asked, (PAGED, time.perf_counter()))

    async def _get(
        self, who: Account, path: str, asked: dict[str, str], count: tuple[str, float] | None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {who.token}"}
        async with self.http.get(self.url + path, params=asked, headers=headers) as reply:
            answer = await reply.json()
            if count is not None:
                self.waits[count[0]].append(time.perf_counter() - count[1])
            if reply.status != 200:
                self.wrong.append(f"{path} {asked}: {answer}")
            return answer


async def run(people: int, rate: float, seconds: float) -> tuple[Bench, list[str]]:
    """Fill the town and measure."""
    async with Rig(nodes=1) as rig, aiohttp.ClientSession() as http:
        url = rig.urls[0]
        searchers = [await sign_up(http, url, f"searcher{number}") for number in range(SEARCHERS)]
        started = time.perf_counter()
        await fill(rig.engines.mongo_url, "load", people, [one.id for one in searchers])
        filled = time.perf_counter() - started
        bench = Bench(http, url, searchers)
        await bench.run(rate, WARM_UP)
        bench.waits.clear()
        pids = {"server": rig.nodes[0].pid, "mongod": rig.engines.mongo_pid, "who asks": os.getpid()}
        cpu = Cpu(pids)
        await bench.run(rate, seconds)
        bench.shares = cpu.shares()
    about = [f"people, friendships and messages were put into the database in {filled:.0f} s"]
    return bench, about


def rows(bench: Bench) -> list[tuple[str, Sequence[float]]]:
    """Waits by kind, and all of them."""
    kinds = [*KINDS, PAGED, DEEP, SAID, SUGGESTED]
    found = [(kind, bench.waits.get(kind, [])) for kind in kinds]
    return [*found, ("all", [wait for _, waits in found for wait in waits])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page; 1 when an answer was wrong."""
    options = argparse.ArgumentParser(prog="python -m loadtests.bench_search", description=__doc__)
    options.add_argument("--people", type=int, default=100_000)
    options.add_argument("--rate", type=float, default=10.0, help="questions a second")
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--quick", action="store_true", help="10,000 people, 20 s; the page stays")
    given = options.parse_args(arguments)
    people, seconds = (10_000, 20.0) if given.quick else (given.people, given.seconds)
    bench, about = run_orderly(run(people, given.rate, seconds))
    found = rows(bench)
    shown = [
        (
            f"{kind} ({len(waits)})",
            " · ".join(milliseconds(percentile(waits, at)) for at in (0.5, 0.95, 0.99, 1)),
        )
        for kind, waits in found
    ]
    print(table(f"{people:,} people, {given.rate:g} searches a second: p50 · p95 · p99 · max", shown))
    print(*about, used(bench.shares), *bench.wrong[:10], sep="\n")
    reached = percentile(found[-1][1], 0.95) <= AIM
    print(f"aim: p95 of all {milliseconds(AIM)}: {'reached' if reached else 'MISSED'}")
    if not given.quick:
        search_page.write(found, Conditions(people, given.rate, AIM, bench.shares))
    return 1 if bench.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
