"""The herd: thousands of clients in a process of their own, who come back when they lose their connection.

`python -m loadtests.storm_herd` reads a `Herding` as one line of JSON, then commands: `begin` counts anew,
`cut` also makes everybody lose their connection at once. The end of the input ends the process. It writes a
`Count` a few times a second.
"""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from typing import Literal

import uvloop
from pydantic import BaseModel

from loadtests.bench.machine import raise_descriptors
from loadtests.lanes import Lane, TurnedAway

Manners = Literal["good", "stock", "rude"]

COUNT_EVERY = 0.1
GATHERED_AT_ONCE = 200
AVOIDED_FOR = 60.0
SHOWN = 5
NOBODY_THERE = 0.0
"""What a front does when a process does not accept a connection: try another one."""


class Herding(BaseModel):
    """Who connects where. Everybody begins at the first address and comes back to any."""

    urls: list[str]
    tokens: list[str]
    manners: Manners
    spread: float
    """Seconds over which well-mannered clients come back after a loss."""
    seed: int = 1


class Count(BaseModel):
    """How many are connected, and what happened since the last `begin` or `cut`."""

    connected: int = 0
    attempts: int = 0
    turned_away: int = 0
    returned: int = 0
    failed: int = 0
    unmannerly: list[str] = []
    """Answers at the door that no server may give."""
    at: float = 0.0
    """The latest moment at which somebody came back (`time.time`)."""


class Herd:
    """All guests of this process."""

    def __init__(self, herding: Herding) -> None:
        self.herding, self.count = herding, Count()
        self.random = random.Random(herding.seed)
        self.gate = asyncio.Semaphore(GATHERED_AT_ONCE)
        self._avoided: dict[str, float] = {}
        self.guests = [Guest(self, place) for place in range(len(herding.tokens))]

    async def live(self) -> None:
        await asyncio.gather(*(guest.live() for guest in self.guests))

    def begin(self) -> None:
        """Count anew."""
        self.count = Count(connected=self.count.connected)

    def cut(self) -> None:
        """The network is gone, for all of them."""
        self.begin()
        for guest in self.guests:
            guest.cut()

    def some_url(self) -> str:
        """An address at which somebody listened lately, as a load balancer knows."""
        now = time.monotonic()
        urls = self.herding.urls
        return self.random.choice([url for url in urls if self._avoided.get(url, 0) < now] or urls)

    def avoid(self, url: str) -> None:
        self._avoided[url] = time.monotonic() + AVOIDED_FOR


class Guest:
    """One client: it connects, and comes back."""

    def __init__(self, herd: Herd, place: int) -> None:
        self._herd, self._token = herd, herd.herding.tokens[place]
        self._source = f"127.1.{place // 250}.{place % 250 + 1}" if sys.platform == "linux" else None
        self._lane: Lane | None = None

    def cut(self) -> None:
        if self._lane is not None:
            self._lane.abort()

    async def live(self) -> None:
        """Come, and come back whenever the connection is lost."""
        herd = self._herd
        while (lane := await self._come_first()) is None:
            await asyncio.sleep(herd.random.uniform(0, 2))
        while True:
            self._lane = lane
            await lane.closed.wait()
            herd.count.connected -= 1
            await asyncio.sleep(first_pause(herd))
            lane = await self._come_back()
            herd.count.returned += 1
            herd.count.at = time.time()

    async def _come_first(self) -> Lane | None:
        """Not everybody at once."""
        async with self._herd.gate:
            return (await self._connect(self._herd.herding.urls[0]))[0]

    async def _come_back(self) -> Lane:
        failures = 0
        while True:
            lane, asked = await self._connect(self._herd.some_url())
            if lane is not None:
                return lane
            failures += asked != NOBODY_THERE
            await asyncio.sleep(next_pause(self._herd, failures, asked))

    async def _connect(self, url: str) -> tuple[Lane | None, float | None]:
        """Try once; when that fails, the seconds to wait that the server asked for, if it did."""
        count = self._herd.count
        count.attempts += 1
        try:
            lane = await Lane.open(url, self._token, _no_acks, source=self._source)
        except TurnedAway as refusal:
            count.turned_away += 1
            if refusal.status not in (429, 503) or refusal.retry_after is None:
                count.unmannerly = [*count.unmannerly, str(refusal)][:SHOWN]
            return None, refusal.retry_after
        except OSError as error:
            count.failed += 1
            if isinstance(error, ConnectionRefusedError):
                self._herd.avoid(url)
                return None, NOBODY_THERE
            return None, None
        count.connected += 1
        return lane, None


def first_pause(herd: Herd) -> float:
    """How long after a loss somebody comes back."""
    match herd.herding.manners:
        case "good":
            return herd.random.uniform(0, herd.herding.spread)
        case "stock":
            return herd.random.uniform(0.5, 1.5)
        case "rude":
            return 0.0


def next_pause(herd: Herd, failures: int, asked: float | None) -> float:
    """How long after a failure somebody tries again; browsers do not let their pages see what was asked."""
    match herd.herding.manners:
        case "good" if asked is not None:
            return asked + herd.random.uniform(0, 1)
        case "good":
            return herd.random.uniform(0, min(30.0, 0.5 * 2**failures))
        case "stock":
            return min(5.0, 2.0**failures) * herd.random.uniform(0.5, 1.5)
        case "rude":
            return 1.0


def _no_acks(_lane: Lane, _number: int, _payload: bytes) -> None:
    """Guests listen only."""


async def _serve(first_line: bytes) -> None:
    herd = Herd(Herding.model_validate_json(first_line))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    tasks = [asyncio.create_task(work) for work in (herd.live(), _tell(herd), _obey(herd, reader))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _obey(herd: Herd, reader: asyncio.StreamReader) -> None:
    while command := await reader.readline():
        {b"begin": herd.begin, b"cut": herd.cut}[command.strip()]()


async def _tell(herd: Herd) -> None:
    while True:
        print(herd.count.model_dump_json(), flush=True)
        await asyncio.sleep(COUNT_EVERY)


def main(_: Sequence[str] | None = None) -> int:
    """Live until the input ends."""
    raise_descriptors()
    uvloop.run(_serve(sys.stdin.buffer.readline()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
