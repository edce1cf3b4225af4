"""Real processes of Plaza over real engines, with throw-away data. Everything ends with us, even failing."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import uvloop

from common.engines import Engines
from common.engines.binaries import find_valkey
from common.engines.lock import DataLock
from common.engines.ports import LOOPBACK, free_port
from common.engines.process import EngineProcess, EngineSpec
from documents.connection import initiate_replica_set

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
MANY = "1000000000"
READY_WITHIN, STOP_WITHIN = 30.0, 30.0
PR_SET_PDEATHSIG = 1

WIDE = {
    "PLAZA_ENVIRONMENT": "test",
    "PLAZA_JWT_SECRET": "a secret for load tests only, long enough",
    "PLAZA_LOG_LEVEL": "warning",
    "PLAZA_ACCOUNTS__BCRYPT_COST": "4",
    "PLAZA_LIMITS__PUBLIC_PER_MINUTE": MANY,
    "PLAZA_LIMITS__USER_PER_MINUTE": MANY,
    "PLAZA_LIMITS__UNAUTHENTICATED_PER_ADDRESS": "10000",
}
"""Nothing in the way of load: wide limits, cheap password hashes."""


def run_orderly(main: Coroutine[Any, Any, T]) -> T:
    """Run on the fastest loop; when told to stop, clean up first."""

    async def cancelled_by_signal() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    return uvloop.run(cancelled_by_signal())


class NotReady(Exception):
    """A process did not begin to serve; the message ends with what it said."""


class Node:
    """One process: `python -m realtime serve`. Its port stays the same through restarts."""

    def __init__(self, folder: Path, settings: Mapping[str, str], cores: set[int] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        folder.mkdir(exist_ok=True)
        self._log, self._cores = folder / "server.log", cores
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLAZA_")}
        self._environment = {**kept, **WIDE, "PLAZA_DATA_DIR": str(folder), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Return once `/readyz` says so."""
        command = [sys.executable, "-m", "realtime", "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=self._settle,  # noqa: PLW1509  (no threads here)
            )
        deadline = asyncio.get_running_loop().time() + READY_WITHIN
        while not await self.is_ready():
            if not self.is_running or asyncio.get_running_loop().time() > deadline:
                raise NotReady(f"{self.url} does not serve:\n{self.said()}")
            await asyncio.sleep(0.05)

    def _settle(self) -> None:
        """In the child: die with the parent, stay on one's cores."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if self._cores:
                os.sched_setaffinity(0, self._cores)

    async def is_ready(self) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(total=2.0)
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.get(f"{self.url}/readyz") as reply,
            ):
                return reply.status == 200
        except (OSError, TimeoutError, aiohttp.ClientError):
            return False

    async def kill(self) -> None:
        """`kill -9`."""
        await self._end(signal.SIGKILL)

    async def drain(self) -> float:
        """SIGTERM, and wait until it has left; the seconds that took."""
        started = asyncio.get_running_loop().time()
        await self._end(signal.SIGTERM)
        return asyncio.get_running_loop().time() - started

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        deadline = asyncio.get_running_loop().time() + STOP_WITHIN
        while process.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                process.kill()
            await asyncio.sleep(0.02)

    def said(self, most: int = 4000) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-most:] if self._log.exists() else ""

    def errors(self) -> list[str]:
        """What it logged as a fault of its own."""
        marks = ('"level":"error"', '"level": "error"', "Traceback", "Task exception was never retrieved")
        return [line for line in self.said(10_000_000).splitlines() if any(mark in line for mark in marks)]


class Redis:
    """A Valkey that can be away for a while: killed, it is brought back at once; `down` keeps it down."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._lock, self.port = DataLock(folder), free_port()
        command = [str(find_valkey()), "--dir", str(folder), "--save", "", "--appendonly", "no"]
        command += ["--bind", LOOPBACK, "--port", str(self.port), "--daemonize", "no"]
        self._spec = EngineSpec("valkey-server", command, self.port, folder / "redis.log")
        self._process: EngineProcess | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    async def start(self) -> None:
        await self._lock.acquire()
        await self._up()

    async def _up(self) -> None:
        self._process = EngineProcess(self._spec, self._lock.descriptor)
        await self._process.start()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
        self._lock.release()

    def kill(self) -> None:
        """`kill -9`; a tenth of a second later it is back, empty."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)

    async def down(self, seconds: float) -> None:
        """Be away for a while."""
        if self._process is not None:
            await self._process.stop()
        await asyncio.sleep(seconds)
        await self._up()

    async def freeze(self, seconds: float) -> None:
        """Accept connections and say nothing."""
        if self._process is None:
            return
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self._process.pid, signal.SIGCONT)


class Rig:
    """Engines and nodes over them, in a folder that is removed at the end."""

    def __init__(
        self, *, nodes: int = 1, settings: Mapping[str, str] | None = None, cores: set[int] | None = None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="plaza-load-"))
        self.engines = Engines(self._folder / "mongo", mongo=True, redis=False, cache_gb=0.5)
        self.redis = Redis(self._folder / "redis") if nodes > 1 else None
        self.nodes: list[Node] = []
        self._count, self._settings, self._cores = nodes, dict(settings or {}), cores

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        await self.engines.start()
        await initiate_replica_set(self.engines.mongo_url)
        settings = {"PLAZA_MONGO_URL": self.engines.mongo_url, "PLAZA_DATABASE": "load", **self._settings}
        if self.redis is not None:
            await self.redis.start()
            settings["PLAZA_REDIS_URL"] = self.redis.url
        for number in range(self._count):
            self.nodes.append(Node(self._folder / f"node{number}", settings, self._cores))
            await self.nodes[-1].start()

    async def _stop(self) -> None:
        await asyncio.gather(*(node.kill() for node in self.nodes))
        if self.redis is not None:
            await self.redis.stop()
        await self.engines.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
