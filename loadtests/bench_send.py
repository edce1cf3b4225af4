"""`make bench-send`: stored direct messages per second on one process, beside plain `insert_many`.

100 senders, each with a partner of their own; half of the partners are connected and receive live. First a
closed loop (each sender sends again once acknowledged), then an open loop at half of that rate, whose latency
counts from the moment a message was due. The server has core 0, this generator core 1, mongod both.
"""

import argparse
import asyncio
import os
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from loadtests.baseline import Plain, plain_inserts
from loadtests.client import Account
from loadtests.cpu import Cpu
from loadtests.crowd import sign_up
from loadtests.lanes import Lane
from loadtests.report import milliseconds, percentile, table
from loadtests.server import Rig, run_orderly

SENDERS = 100
AIM_RATE, AIM_P99 = 3000, 0.1
TEXT = "It is half past nine and the train is late again, so start without me; I will bring the cake. " + "."
OK = b'[{"ok":true'
GATHER = 3.0
SMALL = 5
TICK = 0.001

Rows = list[tuple[str, object]]


@dataclass
class Load:
    """The senders' lanes, and what became of their messages."""

    lanes: list[Lane] = field(default_factory=list[Lane])
    bodies: dict[Lane, bytes] = field(default_factory=dict[Lane, bytes])
    due: dict[Lane, dict[int, float]] = field(default_factory=dict[Lane, dict[int, float]])
    latencies: list[float] = field(default_factory=list[float])
    refused: list[bytes] = field(default_factory=list[bytes])
    goes_on: bool = False

    def add(self, lane: Lane, partner: str) -> None:
        self.lanes.append(lane)
        fixed = f'["send_message",{{"to":"{partner}","text":"{TEXT}","clientId":"bench-'
        self.bodies[lane], self.due[lane] = fixed.encode(), {}

    def send(self, lane: Lane, due: float) -> None:
        number = lane.sent + 1
        self.due[lane][number] = due
        lane.say(self.bodies[lane] + b'%d"}]' % number)

    def acked(self, lane: Lane, number: int, payload: bytes) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self.due[lane].pop(number))
        if not payload.startswith(OK, payload.index(b"[")):
            self.refused.append(payload)
        if self.goes_on:
            self.send(lane, now)

    async def closed(self, seconds: float) -> None:
        """Everybody sends, and sends again once acknowledged."""
        self.latencies.clear()
        self.goes_on = True
        for lane in self.lanes:
            if not self.due[lane]:
                self.send(lane, time.perf_counter())
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        """Let what is on its way arrive."""
        self.goes_on = False
        async with asyncio.timeout(GATHER * 4):
            while any(self.due.values()):
                await asyncio.sleep(0.01)

    async def open(self, rate: float, seconds: float) -> None:
        """Messages at even distances, one lane after the other, however long answers take."""
        self.latencies.clear()
        started, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) < started + seconds:
            while started + sent / rate <= now:
                self.send(self.lanes[sent % len(self.lanes)], started + sent / rate)
                sent += 1
            await asyncio.sleep(TICK)
        await self.settle()


@dataclass(frozen=True)
class Plan:
    """How long, how often, and where py-spy (if there is one) writes what the server does meanwhile."""

    seconds: float
    rounds: int
    profile: Path | None

    async def watch(self, pid: int) -> None:
        """Let py-spy look at a process during one closed loop."""
        spy = shutil.which("py-spy")
        if self.profile is not None and spy is not None:
            command = [spy, "record", "-p", str(pid), "-d", str(int(self.seconds)), "-r", "250", "-f", "raw"]
            await asyncio.create_subprocess_exec(
                *command, "-o", str(self.profile), stdout=DEVNULL, stderr=DEVNULL
            )


async def run(plan: Plan) -> tuple[Rows, list[str]]:
    """Measure; the rows of the report, and what went wrong."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    async with Rig(nodes=1, cores={cores[0]} if len(cores) > 1 else None) as rig:
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[1]})
        async with aiohttp.ClientSession() as http:
            people = await _people(http, rig.urls[0])
        load, partners = await _connect(rig.urls[0], people)
        rows, wrong = await _measure(rig, load, partners, plan)
        async with aiohttp.ClientSession() as http:
            wrong += await _recount(http, rig.urls[0], people, load)
        for lane in [*load.lanes, *partners]:
            lane.close()
    return rows, wrong


async def _people(http: aiohttp.ClientSession, url: str) -> list[Account]:
    return [await sign_up(http, url, f"bench{number}") for number in range(2 * SENDERS)]


async def _connect(url: str, people: Sequence[Account]) -> tuple[Load, list[Lane]]:
    load = Load()
    for sender, partner in zip(people[:SENDERS], people[SENDERS:], strict=True):
        load.add(await Lane.open(url, sender.token, load.acked), partner.id)
    partners = [
        await Lane.open(url, one.token, load.acked) for one in people[SENDERS : SENDERS + SENDERS // 2]
    ]
    return load, partners


async def _measure(rig: Rig, load: Load, partners: Sequence[Lane], plan: Plan) -> tuple[Rows, list[str]]:
    pids = {"server": rig.nodes[0].pid, "mongod": rig.engines.mongo_pid, "generator": os.getpid()}
    rates: list[float] = []
    plain: list[Plain] = []
    rows: Rows = []
    await load.closed(GATHER)
    await load.settle()
    for number in range(1, plan.rounds + 1):
        plain.append(plain_inserts(rig.engines.mongo_url, GATHER, SENDERS))
        await load.closed(1.0)
        await plan.watch(pids["server"])
        load.latencies.clear()
        cpu, started = Cpu(pids), time.perf_counter()
        await load.closed(plan.seconds)
        rates.append(len(load.latencies) / (time.perf_counter() - started))
        rows += _round(f"closed loop {number}", rates[-1], load.latencies, cpu)
        await load.settle()
    heard, half = sum(lane.delivered for lane in partners), max(rates) / 2
    cpu = Cpu(pids)
    await load.open(half, plan.seconds)
    rows += _round(f"open loop at {half:,.0f}/s", len(load.latencies) / plan.seconds, load.latencies, cpu)
    rows.append(("delivered live in the open loop", sum(lane.delivered for lane in partners) - heard))
    small = plain_inserts(rig.engines.mongo_url, GATHER, SMALL)
    rows += _compared(max(plain, key=lambda one: one.rate), small, max(rates))
    rows += _verdicts(max(rates), percentile(load.latencies, 0.99))
    return rows, [f"refused: {payload[:200].decode()}" for payload in load.refused[:5]]


def _compared(large: Plain, small: Plain, rate: float) -> Rows:
    """What mongod does for one caller without Plaza: the floor under every commit."""
    return [
        (f"plain insert_many of {SENDERS}", f"{large.rate:,.0f}/s; a call {_tail(large.latencies)}"),
        (f"plain insert_many of {SMALL}", f"{small.rate:,.0f}/s; a call {_tail(small.latencies)}"),
        ("sends to plain inserts", f"{rate / large.rate:.2f}"),
    ]


def _verdicts(rate: float, p99: float) -> Rows:
    """What was aimed at."""
    fast, prompt = rate >= AIM_RATE, p99 <= AIM_P99
    return [
        ("aim: sends", f"{rate:,.0f}/s of {AIM_RATE:,}/s: {'reached' if fast else 'MISSED'}"),
        (
            "aim: p99 at half",
            f"{milliseconds(p99)} of {milliseconds(AIM_P99)}: {'reached' if prompt else 'MISSED'}",
        ),
    ]


def _tail(latencies: Sequence[float]) -> str:
    return " · ".join(milliseconds(percentile(latencies, share)) for share in (0.5, 0.99, 1.0))


def _round(name: str, rate: float, latencies: Sequence[float], cpu: Cpu) -> Rows:
    shares = cpu.shares()
    used = ", ".join(f"{process} {share:.0%}" for process, share in shares.items())
    each = f"server {shares['server'] / rate * 1e6:,.0f} µs a send" if rate else ""
    return [
        (f"{name}: acknowledged", f"{rate:,.0f}/s"),
        (f"{name}: ack p50 · p99 · max", _tail(latencies)),
        (f"{name}: CPU", f"{used}; {each}"),
    ]


async def _recount(http: aiohttp.ClientSession, url: str, people: Sequence[Account], load: Load) -> list[str]:
    """Every acknowledged message is there: each conversation is as long as its sender's acks."""
    wrong: list[str] = []
    for account, lane in zip(people[:SENDERS], load.lanes, strict=True):
        headers = {"Authorization": f"Bearer {account.token}"}
        async with http.get(f"{url}/api/messages/conversations", headers=headers) as reply:
            (row,) = (await reply.json())["data"]
        if row["seq"] != lane.sent:
            wrong.append(f"{account.seed}: {lane.sent} acknowledged, {row['seq']} stored")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when a message was refused or is missing."""
    options = argparse.ArgumentParser(prog="python -m loadtests.bench_send", description=__doc__)
    options.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--profile", type=Path, help="write py-spy's raw samples of the server here")
    given = options.parse_args(arguments)
    rows, wrong = run_orderly(run(Plan(given.seconds, given.rounds, given.profile)))
    print(table(f"{SENDERS} senders of direct messages, majority writes, one process", rows))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
