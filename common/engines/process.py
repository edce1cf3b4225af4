"""One engine: started under its shim, watched, brought back when it dies."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from common.engines.errors import EngineFailed
from common.engines.obituary import explain
from common.engines.ports import answers

log = structlog.get_logger(__name__)

_SHIM = Path(__file__).with_name("shim.py")
_READY_WITHIN = 60.0
_HEALTHY_AFTER = 5.0
_SHIM_GRACE = 0.5


@dataclass(frozen=True)
class EngineSpec:
    """What to run: `command` listens on `port` of loopback and writes to its standard output."""

    name: str
    command: list[str]
    port: int
    log: Path
    grace: float = 4.0
    """Seconds from asking it to stop until killing it."""
    back_off: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 4.0)
    """Seconds before each attempt to bring it back; after the last one it stays down."""


class EngineProcess:
    """Owns one engine from start to stop. Its port and data stay the same through every restart."""

    def __init__(self, spec: EngineSpec, lock: int) -> None:
        self._spec, self._lock = spec, lock
        self._shim: asyncio.subprocess.Process | None = None
        self._log_start = 0
        self.pid = 0
        """Process id of the engine itself, not of its shim."""
        self.keeper: asyncio.Task[EngineFailed] | None = None
        """Brings the engine back when it dies; ends, with the reason, only once that is of no use."""

    @property
    def port(self) -> int:
        return self._spec.port

    async def start(self) -> None:
        """Return once the port answers; raises `EngineFailed`."""
        await self._launch()
        self.keeper = asyncio.create_task(self._keep(), name=f"keep {self._spec.name}")

    async def stop(self) -> None:
        if self.keeper is not None:
            self.keeper.cancel()
            await asyncio.wait([self.keeper])
        await self._end()

    async def _keep(self) -> EngineFailed:
        name, deaths = self._spec.name, 0
        while True:
            since = time.monotonic()
            error = await self._death()
            deaths = 1 if time.monotonic() - since > _HEALTHY_AFTER else deaths + 1
            log.warning("engine_died", engine=name, deaths=deaths, reason=str(error))
            if deaths > len(self._spec.back_off):
                return EngineFailed(f"{name} died {deaths} times in a row; {error}")
            await asyncio.sleep(self._spec.back_off[deaths - 1])
            with contextlib.suppress(EngineFailed):  # a start that fails is the next death
                await self._launch()
                log.info("engine_restarted", engine=name, pid=self.pid, port=self._spec.port)

    async def _launch(self) -> None:
        spec = self._spec
        self._log_start = spec.log.stat().st_size if spec.log.exists() else 0
        shim = [sys.executable, "-I", "-S", str(_SHIM), str(spec.grace), str(spec.log), str(self._lock)]
        self._shim = await asyncio.create_subprocess_exec(
            *shim,
            *spec.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._lock,),
            start_new_session=True,
        )
        try:
            await self._until_ready(self._shim)
        except BaseException:
            await self._end()
            raise

    async def _until_ready(self, shim: asyncio.subprocess.Process) -> None:
        line = await shim.stdout.readline() if shim.stdout else b""
        if not line:
            raise await self._death()
        self.pid = int(line)
        deadline = time.monotonic() + _READY_WITHIN
        while not await answers(self._spec.port):
            if shim.returncode is not None:
                raise await self._death()
            if time.monotonic() > deadline:
                raise EngineFailed(f"{self._spec.name} does not answer; {self._spec.log} may say why")
            await asyncio.sleep(0.02)

    async def _death(self) -> EngineFailed:
        """Wait for the shim to end, leave nothing of its session behind, and say why it ended."""
        if self._shim is None:
            raise RuntimeError(f"{self._spec.name} was not started")
        status = await self._shim.wait()
        _kill_session(self._shim.pid)
        return EngineFailed(explain(self._spec.name, status, self._spec.log, self._log_start))

    async def _end(self) -> None:
        """Close the shim's standard input, which stops the engine; kill both if that takes too long."""
        shim = self._shim
        if shim is None or shim.stdin is None:
            return
        shim.stdin.close()
        try:
            async with asyncio.timeout(self._spec.grace + _SHIM_GRACE):
                await shim.wait()
        except TimeoutError:
            log.warning("engine_killed", engine=self._spec.name, pid=self.pid)
        _kill_session(shim.pid)
        await shim.wait()


def _kill_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM when only zombies are left
        os.killpg(leader, signal.SIGKILL)
