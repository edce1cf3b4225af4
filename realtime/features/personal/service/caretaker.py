"""The task of a node that makes copies and erases accounts, whichever node was asked for them."""

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable, Sequence

import structlog

from realtime.features.personal.service.leases import stopped

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[bool]]
"""Does the next thing that waits; False when nothing does."""


class Caretaker:
    """Looks for work at once when told to, and every few seconds: other nodes may have gone in the middle."""

    def __init__(self, kinds: Sequence[Work], *, look_every: float) -> None:
        self._kinds, self._look_every = kinds, look_every
        self._wanted = [asyncio.Event() for _ in kinds]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; a long copy does not keep an account from being erased."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._look(work, wanted))
            for work, wanted in zip(self._kinds, self._wanted, strict=True)
        ]

    def wake(self) -> None:
        """There is something to do."""
        for wanted in self._wanted:
            wanted.set()

    async def stop(self) -> None:
        """What is under way is taken up by another node, or by this one when it is back."""
        await asyncio.gather(*map(stopped, self._tasks))

    async def _look(self, work: Work, wanted: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await wanted.wait()
            wanted.clear()
            while await _did(work):
                continue


async def _did(work: Work) -> bool:
    """Do the next thing; False also when it failed: that is not tried again at once."""
    try:
        return await work()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.warning("personal_work_failed", error=type(error).__name__, at=f"{place.filename}:{place.lineno}")
        return False
