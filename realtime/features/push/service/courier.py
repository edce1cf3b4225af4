"""Sending: one courier for each provider takes what is due from the outbox, as much as it can send at once.

Any number of couriers on any number of nodes work on the same outbox. A delivery belongs to the one that took
it until its lease ends; what it has not sent by then it leaves to others.
"""

import asyncio
import random
from collections.abc import Coroutine

import structlog

from common.errors import as_app_error
from common.settings import Push as PushSettings
from documents.push import Claims
from realtime.features.push.schemas import Platform, Push
from realtime.features.push.service.dispatch import Dispatch
from realtime.features.push.service.sorting import Sorting

log = structlog.get_logger(__name__)

STOP_SECONDS = 3.0
CANCEL_AGAIN = 0.5


class Courier:
    """Owns the loop that takes, and the tasks that send."""

    def __init__(self, platform: Platform, push: Push, sorting: Sorting, settings: PushSettings) -> None:
        self._platform: Platform = platform
        self._push, self._sorting, self._settings = push, sorting, settings
        self._dispatch = Dispatch(platform, push, sorting, settings)
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._worker: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def start(self) -> None:
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Take nothing more, give what is being sent a moment, and end; the rest is for other nodes."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._worker is not None:
            await end_task(self._worker)
        if self._sending:
            await asyncio.wait(self._sending, timeout=STOP_SECONDS)
        for task in list(self._sending):
            await end_task(task)
        await self._push.close()

    def nudge(self, seconds: float) -> None:
        """Something will be due in `seconds`: look then, if not before."""
        if self._timer is None and not self._is_stopping:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look_now)

    def _look_now(self) -> None:
        self._timer = None
        self._wake.set()

    async def _work(self) -> None:
        while not self._is_stopping:
            try:
                if await self._take():
                    continue
            except Exception as error:
                self._complain("push_outbox_waits", error)
            await self._rest()

    async def _take(self) -> bool:
        """Take and begin to send; whether there may be more."""
        free = self._settings.at_once - len(self._sending)
        if free <= 0:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            return True
        wanted = self._dispatch.room(free)
        if not wanted:
            return False
        ends = asyncio.get_running_loop().time() + self._settings.lease
        taken = await Claims.take(self._platform, wanted, self._settings.lease)
        if not taken:
            return False
        for errand in await self._sorting.sort(taken):
            self._spawn(self._dispatch.send(errand, ends))
        return wanted > 1

    async def _rest(self) -> None:
        """Until something is due, or somebody else's lease may have ended."""
        seconds = self._settings.poll * random.uniform(0.75, 1.25)  # noqa: S311  (jitter)
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _guard(self, work: Coroutine[None, None, None]) -> None:
        """What could not be written down is sent again when its lease ends."""
        try:
            await work
        except Exception as error:
            self._complain("push_outcome_not_kept", error)

    def _complain(self, what: str, error: Exception) -> None:
        if as_app_error(error).retryable:
            log.warning(what, platform=self._platform, error=type(error).__name__)
        else:
            log.exception(what, platform=self._platform)


async def end_task(task: "asyncio.Task[None]") -> None:
    """Stop for certain: on Python 3.11 a cancellation can get lost in a client's `wait_for`."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN)
