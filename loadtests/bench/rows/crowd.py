# pyright: strict
"""100,000 connections at once, over as many processes as the limit on open files asks for."""

import math
from dataclasses import dataclass

from loadtests.bench import generator
from loadtests.bench.results import Sample, latencies
from loadtests.bench.rounds import Bench
from loadtests.bench.rows.fanout import MOST_MEMBERS, typing
from loadtests.bench.subjects import serving

PER_PROCESS = 17_000
"""RLIMIT_NOFILE is often 20,000 and cannot be raised."""
SETTLED, BROADCASTS, EVERY = 30.0, 12, 2.0
"""Seconds of quiet, with heartbeats; then a broadcast to all every two seconds."""
CONNECT_WITHIN = 800


@dataclass(frozen=True)
class Many:
    """A group of 5,000, each with up to 20 devices, all of them connected."""

    connections: int
    topic: str = "crowd"

    async def run(self, bench: Bench) -> None:
        members = min(self.connections, MOST_MEMBERS)
        processes = math.ceil(self.connections / PER_PROCESS)
        devices = math.ceil((self.connections - 1) / (members - 1))
        crowd = await bench.population.crowd(self.connections, members=members)
        settings = {"PLAZA_LIMITS__SOCKETS_PER_USER": str(max(10, devices))}
        arguments = [
            *typing(crowd, BROADCASTS * EVERY),
            *("--rate", str(1 / EVERY), "--settle", str(SETTLED), "--src-count", "16"),
            *("--procs", str(processes), "--conc", "50", "--connect-timeout", str(CONNECT_WITHIN)),
        ]
        async with serving("plaza", bench.grounds, settings, processes=processes, pinned=False) as running:
            load = await bench.once(running, crowd, arguments, longest=generator.LONGEST * 2)
        values = {
            "connections": float(load.joined),
            "processes": float(processes),
            "lost": float(load.closed),
            "heartbeats": float(load.pings),
            "rate": load.connect_per_s,
            "kb": load.rss_per_conn_kb,
            "broadcasts": load.delivered / (self.connections - 1),
            **latencies(load),
            "max": load.max_us / 1000,
            "turned_away": float(load.turned_away),
        }
        bench.note("crowd", "plaza", Sample(values, load.other_cpu_pct, tuple(load.faults())))
