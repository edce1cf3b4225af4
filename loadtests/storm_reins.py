"""Holding the herd: its process, what it is told, and what it tells."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Self

from loadtests.server import ROOT
from loadtests.storm_herd import Count, Herding

LEAVE_WITHIN = 5.0


class Reins:
    """One herd in a process of its own; it ends with the block, or when this process ends."""

    def __init__(self, herding: Herding) -> None:
        self._herding = herding
        self.count = Count()
        self._changed = asyncio.Condition()
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtests.storm_herd", cwd=ROOT, stdin=PIPE, stdout=PIPE
        )
        await self.say(self._herding.model_dump_json())
        self._listening = asyncio.create_task(self._listen(self._process))
        return self

    async def __aexit__(self, *_: object) -> None:
        process, listening = self._process, self._listening
        assert process is not None
        assert process.stdin is not None
        assert listening is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), LEAVE_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def say(self, line: str) -> None:
        """Tell the herd something."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def until(self, fits: Callable[[Count], bool], seconds: float) -> Count:
        """Wait for a count that fits; raises `TimeoutError`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: fits(self.count))
        return self.count

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            async with self._changed:
                self.count = Count.model_validate_json(line)
                self._changed.notify_all()
