"""Several processes on one machine, under one parent and behind one port.

The parent starts the engines, makes the indexes once, and keeps its workers running. Each worker listens on
the port for itself (`SO_REUSEPORT`), so the kernel spreads connections over those that live; a connection
that asks for the session of another worker is handed over to it (`gateway/handover.py`). A worker that dies
or gets stuck is replaced. When the parent dies, however it dies, its workers stop.
"""

import asyncio
import os
import signal
import socket as sockets
import sys
from collections.abc import Callable
from contextlib import closing

import structlog
from pydantic import SecretStr

from common.engines import Engines
from common.settings import Settings
from realtime.engines import shared_engines
from realtime.stopping import first_of, stop_signals
from realtime.worker import Job, Mail, Worker, WorkerFailed

log = structlog.get_logger(__name__)

OUTBOX_BYTES = 1_048_576
"""What may wait for a worker that does not read."""
STARTED = "started"

Announce = Callable[[Settings, int], None]


class SharedPort:
    """A port on which nobody but our workers listens; it stays ours while none of them does."""

    def __init__(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)[0]
            with sockets.create_server((host, port), family=family):
                pass  # finds out whoever listens already, for a shared port would let both in
            self._held = sockets.socket(family, sockets.SOCK_STREAM)
            for option in (sockets.SO_REUSEADDR, sockets.SO_REUSEPORT):
                self._held.setsockopt(sockets.SOL_SOCKET, option, 1)
            self._held.bind(address)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
            raise WorkerFailed(f"cannot listen on port {port} of {host}: {reason}") from error
        self.port: int = self._held.getsockname()[1]

    def close(self) -> None:
        self._held.close()


class Workers:
    """All workers, and the socket pairs by which they hand connections to each other."""

    def __init__(self, job: Job, count: int, name: str) -> None:
        names = [f"{name}.w{number}" if name else f"w{number}" for number in range(count)]
        pairs = [sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_DGRAM) for _ in names]
        for _, outbox in pairs:
            outbox.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, OUTBOX_BYTES)
        self._job, self._pairs = job, pairs
        outboxes = [outbox.fileno() for _, outbox in pairs]
        self._workers = [
            Worker(job, name, Mail(names, inbox.fileno(), outboxes))
            for name, (inbox, _) in zip(names, pairs, strict=True)
        ]
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once all serve. The first goes ahead, so that what is wrong for all is said once."""
        first, *others = self._workers
        await first.start()
        await asyncio.gather(*(other.start() for other in others))
        log.info("workers_started", pids=[worker.pid for worker in self._workers])

    def renew(self) -> None:
        """Replace all, one after the other."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        if not await self._job.prepare():
            log.error("workers_not_renewed", reason="the database could not be prepared for them")
            return
        for worker in self._workers:
            await worker.replace()
        log.info("workers_renewed", pids=[worker.pid for worker in self._workers])

    async def stop(self, number: signal.Signals) -> None:
        """End all of them at the same time, in the way of `number`."""
        if self._renewing is not None:
            self._renewing.cancel()
        await asyncio.gather(*(worker.stop(number) for worker in self._workers))
        for pair in self._pairs:
            for end in pair:
                end.close()


async def serve_workers(settings: Settings, count: int, only: str | None, announce: Announce) -> None:
    """Serve with `count` processes until told to stop; SIGHUP replaces them one after the other."""
    if settings.is_production and settings.redis_url is None:
        raise WorkerFailed("PLAZA_REDIS_URL is missing: several processes need one in production")
    stopping, reason = stop_signals(), ""
    with closing(SharedPort(settings.host, settings.port)) as shared:
        async with shared_engines(settings) as (engines, named):
            job = _job(named, shared.port, only, migrates=settings.migrate)
            workers = Workers(job, count, settings.node_name)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, workers.renew)
            try:
                reason = await first_of(stopping, _started(workers))
                if reason == STARTED:
                    announce(settings, shared.port)
                    reason = await first_of(stopping, _failed(engines))
                log.info("stopping", reason=reason)
            finally:
                await workers.stop(signal.SIGINT if reason == signal.SIGINT.name else signal.SIGTERM)
    if reason not in (signal.SIGINT.name, signal.SIGTERM.name):
        raise WorkerFailed(reason)


async def _started(workers: Workers) -> str:
    await workers.start()
    return STARTED


async def _failed(engines: Engines) -> str:
    return str(await engines.failed())


def _job(settings: Settings, port: int, only: str | None, *, migrates: bool) -> Job:
    """What workers run: this program, told of everything that the parent has done already."""
    program = [sys.executable, "-m", "realtime"]
    command = [*program, "serve", "--host", settings.host, "--port", str(port)]
    command += ["--only", only] if only is not None else []
    environment = {"PLAZA_MIGRATE": "false"}
    for name in ("mongo_url", "redis_url"):
        url: SecretStr = getattr(settings, name)
        environment[f"PLAZA_{name.upper()}"] = url.get_secret_value()
    preparation = [*program, "migrate"] if migrates else None
    return Job(command, environment, settings.timeouts.drain, preparation)
