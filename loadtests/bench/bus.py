# pyright: strict
"""What a broadcast costs two nodes, from one's fan-out to the other's: `python -m loadtests.bench.bus`.

Two processes with a listener each over a real Valkey; one publishes ready packets through `Fanout` and
`RedisBus`. The figure is the CPU time of both per broadcast. Beside it, in the same run, the plainest thing
one can do with redis-py: a `publish` per broadcast, and a `pubsub` that reads one after the other.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import uvloop
from redis.asyncio import Redis as Client

from common.redis_url import RedisUrl
from loadtests.report import table
from loadtests.server import Redis, run_orderly
from realtime.fanout import Delivery, Fanout, LocalFanout, Packet
from realtime.fanout.bus import BusKey, RedisBus
from realtime.fanout.sending import NOWHERE

COUNT, WARM = 60_000, 2_000
RATES = (0, 20_000, 2_000)
"""Broadcasts a second; 0 is as many as go."""
AT_ONCE = 32
"""As many as go means: as long as fewer than these wait."""
WITHIN = 60.0
CHANNEL = "conversation:00000000-0000-4000-8000-000000000000"
TEXT = '2["new_message",{"text":"%s","number":' % ("x" * 60)

Side = Literal["speak", "listen"]
Way = Literal["plaza", "redis-py"]


class Counting:
    """A connection that counts what it is sent, and whether that came in order."""

    def __init__(self, expected: int) -> None:
        self.id, self.user_id = "one", "someone"
        self.channels: set[str] = set()
        self.socket, self.direct = self, NOWHERE
        self.count = self.strays = 0
        self._last = -1
        self._expected = expected
        self.done = asyncio.Event()

    def write(self, packet: Packet, *, ephemeral: bool = False) -> None:
        self.count += 1
        if self.count % 100 == 0:  # reading every number would be the dearest part
            number = int(packet.text[len(TEXT) : -2])
            self.strays += number <= self._last
            self._last = number if self.count != WARM else -1  # numbers begin again behind the warm-up
        if self.count == self._expected:
            self.done.set()

    def finish(self, frame: bytes, written: int) -> None: ...

    def close(self, reason: str) -> None: ...


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tell(**values: Any) -> None:
    print(json.dumps(values), flush=True)


async def _told() -> None:
    """Wait for the word to begin: a line, or the end of our input."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def _pace(rate: int, count: int, say: Callable[[int], Awaitable[bool]]) -> None:
    """Say `count` numbers, `rate` of them a second; `say` tells whether there is room for more at once."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    number = 0
    while number < count:
        due = count if not rate else min(count, int((loop.time() - started) * rate))
        while number < due and await say(number):
            number += 1
        await asyncio.sleep(0 if not rate else 0.001)


async def _plaza(side: Side, url: str, rate: int, count: int) -> None:
    local = LocalFanout()
    bus = RedisBus(RedisUrl.parse(url), side, BusKey("bench", b"a secret for the benchmark"), local)
    local.interest = bus
    fanout, connection = Fanout(local, bus), Counting(WARM + count)
    local.join(connection, CHANNEL)
    await bus.start()
    while not bus.is_up:
        await asyncio.sleep(0.01)
    await bus.settle()

    async def say(number: int) -> bool:
        fanout.deliver(Delivery((CHANNEL,), Packet(f"{TEXT}{number}}}]")))
        return len(bus.outbox) < AT_ONCE

    await _play(side, rate, count, say, connection)
    await bus.stop()


async def _redis_py(side: Side, url: str, rate: int, count: int) -> None:
    make: Any = Client
    redis: Any = make.from_url(url)
    connection = Counting(WARM + count)
    ears: Any = redis.pubsub()
    hearing = None
    if side == "listen":
        await ears.subscribe("bench")

        async def hear() -> None:
            async for message in ears.listen():
                if message["type"] == "message":
                    connection.write(Packet(message["data"].decode()))

        hearing = asyncio.create_task(hear())

    async def say(number: int) -> bool:
        await redis.publish("bench", f"{TEXT}{number}}}]")
        connection.write(Packet(f"{TEXT}{number}}}]"))
        return True

    await _play(side, rate, count, say, connection)
    if hearing is not None:
        hearing.cancel()
    await ears.aclose()
    await redis.aclose()


async def _play(
    side: Side, rate: int, count: int, say: Callable[[int], Awaitable[bool]], connection: Counting
) -> None:
    """Be one side: warm up, then measure. Both begin and end by a word from the parent."""
    loop = asyncio.get_running_loop()
    _tell(ready=True)
    if side == "speak":
        await _told()
        await _pace(10_000, WARM, say)
    while connection.count < WARM:
        await asyncio.sleep(0.01)
    _tell(warm=True)
    await _told()
    before, began = _cpu(), loop.time()
    if side == "speak":
        await _pace(rate, count, say)
    async with asyncio.timeout(WITHIN):
        await connection.done.wait()
    _tell(cpu=_cpu() - before, seconds=loop.time() - began, strays=connection.strays)


# -- the parent


async def _child(side: Side, way: Way, url: str, rate: int, count: int) -> asyncio.subprocess.Process:
    words = [side, way, url, str(rate), str(count)]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name if __spec__ else __name__, "--child", *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _line(child: asyncio.subprocess.Process) -> dict[str, Any]:
    assert child.stdout is not None
    async with asyncio.timeout(WITHIN * 2):
        line = await child.stdout.readline()
    if not line:
        raise RuntimeError("a side of the bus benchmark ended early")
    return json.loads(line)


def _go(child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    child.stdin.write(b"go\n")


async def _once(way: Way, url: str, rate: int, count: int) -> dict[str, float]:
    """One run; µs of CPU per broadcast of both sides, broadcasts a second, and how many came out of order."""
    sides = [await _child(side, way, url, rate, count) for side in ("listen", "speak")]
    listener, speaker = sides
    try:
        for side in sides:
            await _line(side)  # ready
        _go(speaker)
        for side in sides:
            await _line(side)  # warm
        _go(listener)
        _go(speaker)
        said, heard = await _line(speaker), await _line(listener)
    finally:
        for side in sides:
            if side.returncode is None:
                side.kill()
            await side.wait()
    per = 1e6 / count
    return {
        "us": (said["cpu"] + heard["cpu"]) * per,
        "speaker_us": said["cpu"] * per,
        "listener_us": heard["cpu"] * per,
        "rate": count / max(said["seconds"], heard["seconds"]),
        "strays": said["strays"] + heard["strays"],
    }


async def measure(
    rates: Sequence[int] = RATES, rounds: int = 3, count: int = COUNT
) -> dict[str, dict[str, float]]:
    """The cheapest of some rounds per rate and way, taken in turns: `{"plaza at 2000": {"us": …}, …}`."""
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="plaza-bus-") as folder:
        redis = Redis(Path(folder))
        await redis.start()
        try:
            for _ in range(rounds):
                for rate in rates:
                    for way in ("plaza", "redis-py"):
                        many = min(count, (rate or count) * 3)
                        if way == "redis-py":
                            many = min(many, count // 4)
                        found = await _once(way, redis.url, rate, many)
                        name = f"{way} at {rate or 'full speed'}"
                        strays = found["strays"] + (best[name]["strays"] if name in best else 0)
                        if name not in best or found["us"] < best[name]["us"]:
                            best[name] = found
                        best[name]["strays"] = strays
        finally:
            await redis.stop()
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when something came out of order."""
    options = argparse.ArgumentParser(prog="python -m loadtests.bench.bus", description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--count", type=int, default=COUNT)
    options.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    given = options.parse_args(arguments)
    if given.child:
        side, way, url, rate, count = given.child
        play = _plaza if way == "plaza" else _redis_py
        uvloop.run(play(side, url, int(rate), int(count)))
        return 0
    found = run_orderly(measure(rounds=given.rounds, count=given.count))
    rows = [
        (
            name,
            f"{row['us']:6.1f} µs = {row['speaker_us']:.1f} + {row['listener_us']:.1f}, {row['rate']:,.0f}/s",
        )
        for name, row in found.items()
    ]
    print(table("CPU of both nodes per broadcast, one listener on each", rows))
    for rate in RATES:
        ours, theirs = (found[f"{way} at {rate or 'full speed'}"]["us"] for way in ("plaza", "redis-py"))
        print(f"at {rate or 'full speed'}: {theirs / ours:.1f} times cheaper than bare redis-py")
    return 1 if any(row["strays"] for row in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
