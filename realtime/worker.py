"""One slot among the workers, seen from the parent: the process that fills it, and those that come after."""

import asyncio
import os
import signal
import socket as sockets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from realtime.slot import VARIABLE, Slot

log = structlog.get_logger(__name__)

READY_WITHIN = 60.0
SILENT_FOR = 30.0
"""Seconds without a beat after which a worker counts as stuck."""
BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt to replace one that died; the last counts for all that follow."""
HEALTHY_AFTER = 10.0
STOP_SECONDS = 10.0
"""Beyond the drain: what a worker may take to end before it is killed."""


class WorkerFailed(Exception):
    """The workers cannot be started, or cannot go on."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker runs."""

    command: Sequence[str]
    environment: Mapping[str, str]
    drain: float
    preparation: Sequence[str] | None = None
    """What is run before workers are renewed: the parent cannot know what a new version needs."""

    async def prepare(self) -> bool:
        """Run the preparation, if any; whether it went well."""
        if self.preparation is None:
            return True
        process = await asyncio.create_subprocess_exec(
            *self.preparation,
            env={**os.environ, **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() == 0


@dataclass(frozen=True, slots=True)
class Mail:
    """The names of all workers, where this one is sent connections, and where it sends those of others."""

    names: Sequence[str]
    inbox: int
    outboxes: Sequence[int]


def pause(deaths: int) -> float:
    """Seconds before the next attempt after so many deaths in a row."""
    return BACK_OFF[min(deaths, len(BACK_OFF)) - 1]


class Worker:
    """Keeps one slot filled from `start` to `stop`."""

    def __init__(self, job: Job, name: str, mail: Mail) -> None:
        self._job, self.name, self._mail = job, name, mail
        self._process: asyncio.subprocess.Process | None = None
        self._serving = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._is_wanted, self._is_replaced, self._has_served = True, False, False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """Return once it serves; raises `WorkerFailed` when it ends instead."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        serving = asyncio.create_task(self._serving.wait())
        await asyncio.wait([serving, self._keeper], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if self._keeper.done():
            await self._keeper

    async def replace(self) -> None:
        """Have it drained, and return once another one serves in its slot."""
        self._is_replaced = True
        self._serving.clear()
        self._send(signal.SIGTERM)
        await self._serving.wait()

    async def stop(self, number: signal.Signals) -> None:
        """End it in the way of `number`, or at once when that takes too long."""
        self._is_wanted = False
        if self._keeper is None:
            return
        self._send(number)
        _, late = await asyncio.wait([self._keeper], timeout=self._job.drain + STOP_SECONDS)
        if late:
            log.error("worker_killed", worker=self.name, pid=self.pid)
            self._send(signal.SIGKILL)
            await asyncio.wait([self._keeper])

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _keep(self) -> None:
        deaths = 0
        while self._is_wanted:
            since = time.monotonic()
            status = await self._run()
            if not self._is_wanted:
                return
            if not self._has_served:
                raise WorkerFailed(f"worker {self.name} ended with status {status} before it served")
            if self._is_replaced:
                self._is_replaced, deaths = False, 0
                continue
            deaths = 1 if time.monotonic() - since > HEALTHY_AFTER else deaths + 1
            log.error("worker_died", worker=self.name, status=status, deaths=deaths)
            await asyncio.sleep(pause(deaths))

    async def _run(self) -> int:
        """Fill the slot with a process, and return how it ended."""
        ours, theirs = sockets.socketpair()
        with ours:
            with theirs:
                process = self._process = await self._launch(theirs.fileno())
            if not self._is_wanted:
                self._send(signal.SIGTERM)
            await self._listen(ours)
        return await process.wait()

    async def _launch(self, lifeline: int) -> asyncio.subprocess.Process:
        mail = self._mail
        slot = Slot(
            name=self.name, names=mail.names, lifeline=lifeline, inbox=mail.inbox, outboxes=mail.outboxes
        )
        return await asyncio.create_subprocess_exec(
            *self._job.command,
            env={
                **os.environ,
                **self._job.environment,
                "PLAZA_NODE_NAME": self.name,
                VARIABLE: slot.model_dump_json(),
            },
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=slot.descriptors,
            start_new_session=True,  # Ctrl-C is for the parent, which tells the workers
        )

    async def _listen(self, line: sockets.socket) -> None:
        """Hear its beats until it ends; who has gone silent is ended."""
        reader, writer = await asyncio.open_connection(sock=line)
        patience = READY_WITHIN
        try:
            while await asyncio.wait_for(reader.read(4096), patience):
                patience, self._has_served = SILENT_FOR, True
                if not self._is_replaced:
                    self._serving.set()
        except TimeoutError:
            log.error("worker_stuck", worker=self.name, pid=self.pid)
            self._send(signal.SIGKILL)
        finally:
            writer.close()
