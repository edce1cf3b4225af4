"""What a node does by itself all the time: heal streams, end revoked sessions, watch its own loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from common import metrics
from common.clock import now
from common.ids import Id
from realtime import channels
from realtime.fanout import Delivery, LocalFanout

log = structlog.get_logger(__name__)

LAG_EVERY = 0.25
DEPARTURES_EVERY = 5.0
CANCEL_AGAIN = 0.5
OVERLAP = timedelta(seconds=15)
"""How far clocks of nodes may differ without a revocation being overlooked."""


class Revocations(Protocol):
    async def recently_revoked(self, since: datetime) -> Sequence[Id]:
        """The log-ins that were ended since then, by any node."""
        ...


class Departures(Protocol):
    async def finish_departures(self) -> None:
        """Tell of departures from groups that somebody failed to tell of."""
        ...


class Upkeep:
    """Owns the periodic tasks of a node."""

    def __init__(
        self,
        local: LocalFanout,
        revocations: Revocations,
        departures: Departures,
        *,
        revocation_every: float,
        sweep_every: float,
    ) -> None:
        self._local, self._revocations, self._departures = local, revocations, departures
        self._revocation_every, self._sweep_every = revocation_every, sweep_every
        self._chores: list[tuple[float, Callable[[], Awaitable[object]]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def also(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do this, too, so often; said before the start."""
        self._chores.append((seconds, work))

    def start(self, *, heals: bool) -> None:
        """Begin; `heals` when other nodes write to our streams."""
        self._every(self._revocation_every, self._end_revoked)
        self._every(DEPARTURES_EVERY, self._departures.finish_departures)
        self._tasks.append(asyncio.get_running_loop().create_task(_watch_lag()))
        if heals:
            self._every(self._sweep_every, self._local.catch_up)
        for chore in self._chores:
            self._every(*chore)

    async def stop(self) -> None:
        """Stop for certain: on Python 3.11 a cancellation can get lost in a client's `wait_for`."""
        while left := [task for task in self._tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=CANCEL_AGAIN)

    def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(_repeat(seconds, work)))

    async def _end_revoked(self) -> None:
        """Close the sockets of ended log-ins, also when no bus told us."""
        for login in await self._revocations.recently_revoked(now() - OVERLAP):
            self._local.deliver(Delivery((channels.session(login),), close="signed_out"))


async def _repeat(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as error:
            log.warning("upkeep_failed", work=work.__name__, error=type(error).__name__)


async def _watch_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        metrics.loop_lag.observe(max(0.0, loop.time() - due))
