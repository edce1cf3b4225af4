# pyright: strict
"""Servers as child processes: started on their core, awaited, ended by their id."""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.engines.ports import LOOPBACK, answers
from loadtests.bench.generator import BenchError
from loadtests.bench.machine import Cores

READY_WITHIN, STOP_WITHIN = 60.0, 10.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Program:
    """What to start, and where it will listen."""

    name: str
    command: Sequence[str]
    port: int
    settings: Mapping[str, str]


class Child:
    """One running server."""

    def __init__(self, program: Program, cores: Cores, folder: Path) -> None:
        self._program, self._cores, self._folder = program, cores, folder
        self._log = folder / f"{program.name}-{program.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def target(self) -> str:
        return f"{LOOPBACK}:{self._program.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Return once it listens."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLAZA_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._program.command,
                cwd=self._folder,  # not where somebody may keep settings of their own
                env={**kept, "PYTHONPATH": str(ROOT), **self._program.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=self._cores.pin_server(),  # noqa: PLW1509  (no threads here)
            )
        deadline = asyncio.get_running_loop().time() + READY_WITHIN
        while not await answers(self._program.port):
            if not self.is_running or asyncio.get_running_loop().time() > deadline:
                raise BenchError(f"{self._program.name} does not serve:\n{self.said()}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """`kill -9`, and wait."""
        process = self._process
        if process is None:
            return
        process.kill()
        while process.poll() is None:
            await asyncio.sleep(0.01)

    def said(self, most: int = 4000) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-most:] if self._log.exists() else ""
