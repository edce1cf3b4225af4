"""Worker processes for what must not happen beside the event loop, nor in a process that matters.

A worker does one job at a time. One that dies, or does not come to an end, is killed and replaced; its job is
refused, and no other is touched.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from media.kinds import Kind
from media.videos.limits import Limits

Progress = Callable[[float], None]

JOBS_EACH = 200
"""After so many jobs a worker is replaced: what decoders leak goes with it."""
LINE = 1_048_576


class JobRefused(Exception):
    """The file is at fault; `code` says how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PoolBusy(Exception):
    """As many jobs wait as may."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job may use."""

    memory_mb: int = 1024
    cpu_seconds: int = 20
    wall_seconds: float = 60.0


class _Worker:
    """One child process and the pipe to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, jobs: asyncio.StreamWriter, answers: asyncio.StreamReader
    ) -> None:
        self._process, self._stdin, self._stdout, self._jobs = process, jobs, answers, 0

    @classmethod
    async def start(cls, memory_mb: int) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "media.worker",
            str(memory_mb),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            limit=LINE,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker has two pipes")
        return cls(process, process.stdin, process.stdout)

    @property
    def is_spent(self) -> bool:
        return self._process.returncode is not None or self._jobs >= JOBS_EACH

    async def do(self, job: dict[str, Any], tell: Progress | None) -> dict[str, Any]:
        """The answer; raises `JobRefused` when the process dies over it."""
        self._jobs += 1
        try:
            self._stdin.write(json.dumps(job).encode() + b"\n")
            await self._stdin.drain()
            while line := await self._stdout.readline():
                answer = json.loads(line)
                if "progress" not in answer:
                    return answer
                if tell is not None:
                    tell(answer["progress"])
        except ConnectionError:
            pass
        raise JobRefused("too_expensive")

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Pool:
    """So many workers, started when they are needed; so many jobs may wait for one."""

    def __init__(self, workers: int, bounds: Bounds | None = None, waiting: int = 32) -> None:
        self._bounds, self._most_waiting = bounds or Bounds(), waiting
        self._idle: list[_Worker] = []
        self._free = asyncio.Semaphore(workers)
        self._waiting = 0

    async def image(self, source: Path, kind: Kind, folder: Path) -> dict[str, Any]:
        """What `media.images.pipeline.make_images` makes of a file; raises `JobRefused` or `PoolBusy`."""
        return await self._run(_job("image", source, kind, folder))

    async def video(self, source: Path, kind: Kind, folder: Path, limits: Limits) -> dict[str, Any]:
        """What `media.videos.pipeline.look_at` finds."""
        return await self._run({**_job("video", source, kind, folder), "limits": asdict(limits)})

    async def cut(
        self, source: Path, kind: Kind, folder: Path, limits: Limits, tell: Progress | None = None
    ) -> dict[str, Any]:
        """What `media.videos.pipeline.cut` makes; `tell` hears how much of it is done."""
        return await self._run({**_job("cut", source, kind, folder), "limits": asdict(limits)}, tell)

    async def _run(self, job: dict[str, Any], tell: Progress | None = None) -> dict[str, Any]:
        if self._waiting >= self._most_waiting:
            raise PoolBusy
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._run_now({**job, "cpu_seconds": self._bounds.cpu_seconds}, tell)
        finally:
            self._free.release()

    async def _run_now(self, job: dict[str, Any], tell: Progress | None) -> dict[str, Any]:
        worker = self._idle.pop() if self._idle else await _Worker.start(self._bounds.memory_mb)
        try:
            async with asyncio.timeout(self._bounds.wall_seconds):
                answer = await worker.do(job, tell)
        except TimeoutError:
            await worker.stop()
            raise JobRefused("too_expensive") from None
        except BaseException:
            await asyncio.shield(worker.stop())
            raise
        if worker.is_spent:
            await worker.stop()
        else:
            self._idle.append(worker)
        if "made" in answer:
            return answer["made"]
        raise JobRefused(answer["refused"])

    async def stop(self) -> None:
        """End the workers that have nothing to do; the others end with their job."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.stop() for worker in idle))


def _job(name: str, source: Path, kind: Kind, folder: Path) -> dict[str, Any]:
    return {"job": name, "source": str(source), "kind": asdict(kind), "folder": str(folder)}
