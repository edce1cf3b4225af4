# pyright: strict
"""The load generator: built from `generator/` when its sources are newer, run, and its report read."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

SOURCES = Path(__file__).parent / "generator"
PEERS = Path(__file__).parent / "peers"
BUILD = Path(__file__).parents[2] / "build" / "bench"
FLAGS = ("-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers")
LONGEST = 900.0


class BenchError(Exception):
    """The benchmark cannot go on; one line that says why."""


class Load(BaseModel):
    """What one run of the generator saw; times in microseconds, shares in per cent of one core."""

    clients: int
    joined: int
    failed: int
    closed: int
    turned_away: int
    connect_s: float
    connect_per_s: float
    connect_server_cpu_us: float
    connect_friend_cpu_us: float
    connect_other_cpu_pct: float
    errors: int
    refused: int
    pings: int = 0
    ops: int = 0
    ops_per_s: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    max_us: float = 0.0
    published_per_s: float = 0.0
    expected: int = 0
    delivered: int = 0
    gaps: int = 0
    dups: int = 0
    cut: int = 0
    load_idle_pct: float = 0.0
    other_cpu_pct: float = 0.0
    server_cpu_pct: float = 0.0
    server_cpu_us_per_op: float = 0.0
    friend_cpu_us_per_op: float = 0.0
    server_cpu_s: float = 0.0
    rss_start_kb: int = 0
    rss_joined_kb: int = 0
    rss_end_kb: int = 0
    rss_peak_kb: int = 0
    rss_per_conn_kb: float = 0.0

    def faults(self) -> list[str]:
        """What should not have happened."""
        lost = self.expected - self.delivered
        counts = {
            "not joined": self.clients - self.joined,
            "connections lost": self.closed,
            "protocol errors": self.errors,
            "refused": self.refused,
            "not delivered": max(0, lost),
            "out of order": self.gaps + self.dups,
        }
        return [f"{count:,} {what}" for what, count in counts.items() if count]


def build() -> None:
    """Make `sioload` and `limit`; raises `BenchError` without a C compiler."""
    _compile("sioload", sorted(SOURCES.glob("*.c")), sorted(SOURCES.glob("*.h")))
    _compile("limit", [PEERS / "limit.c"], [])


def _compile(name: str, sources: Sequence[Path], headers: Sequence[Path]) -> None:
    program = BUILD / name
    newest = max(file.stat().st_mtime for file in (*sources, *headers))
    if program.exists() and program.stat().st_mtime > newest:
        return
    compiler = find_compiler()
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [compiler, *FLAGS, "-o", str(program), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{name} does not compile:\n{done.stderr}")


def find_compiler() -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BenchError(
            "The benchmark's generator is written in C: install gcc or cc (apt install gcc libc6-dev)."
        )
    return compiler


async def run(arguments: Sequence[str], longest: float = LONGEST) -> Load:
    """One run of `sioload`; raises `BenchError` when it says nothing that can be read."""
    process = await asyncio.create_subprocess_exec(
        str(BUILD / "sioload"), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(longest):
            said, complained = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode not in {0, 1} or not said:
        raise BenchError(f"sioload: {complained.decode(errors='replace')[-1000:]}")
    load = Load.model_validate_json(said)
    if complained:
        print(complained.decode(errors="replace").strip(), flush=True)
    if load.joined < load.clients:
        why = complained.decode(errors="replace")[-500:]
        raise BenchError(f"{load.joined} of {load.clients} connections came about: {why}")
    return load
