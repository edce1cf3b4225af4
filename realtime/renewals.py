"""Renewals: what many ask for again and again is looked up before it runs out, beside their asking."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic

import structlog

log = structlog.get_logger(__name__)

AT_ONCE = 8
MAX_WAITING = 5000
EARLIEST, LATEST = 0.5, 0.9
"""Of its life, when an answer is renewed: not all that were learnt together at the same moment."""


def due_after(seconds: float) -> float:
    """When an answer that lives for `seconds` from now should be renewed."""
    return monotonic() + seconds * random.uniform(EARLIEST, LATEST)  # noqa: S311  (spread, not a secret)


class Renewals:
    """Runs renewals in the background: one for each key, few at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def begin(self, key: Hashable, renew: Callable[[], Awaitable[object]]) -> None:
        """Renew `key` soon, unless that is under way. Should it fail, the old answer simply runs out."""
        if key in self._tasks or len(self._tasks) >= MAX_WAITING:
            return
        task = asyncio.get_running_loop().create_task(self._renew(renew))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _renew(self, renew: Callable[[], Awaitable[object]]) -> None:
        async with self._room:
            try:
                await renew()
            except Exception as error:
                log.info("renewal_failed", error=type(error).__name__)
