"""Reading from the database what the bus may have lost: of shards or of channels, look by look."""

import asyncio
from collections.abc import Collection, Iterable
from typing import Protocol

import structlog

from common import metrics
from realtime.fanout.bus.shards import SHARDS, shard_of

log = structlog.get_logger(__name__)

PAUSE = 1.0


class Streams(Protocol):
    """The streams this node's sockets listen to."""

    @property
    def streams(self) -> Collection[str]: ...

    async def catch_up(self, among: Collection[str] | None = None) -> None: ...


class Healing:
    """Gathers doubts and settles them together; once more for those that come meanwhile."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._shards: set[int] = set()
        self._channels: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_at_rest(self) -> bool:
        return self._task is None or self._task.done()

    def shards(self, shards: Iterable[int]) -> None:
        """Something said on these may be lost."""
        self._shards.update(shards)
        self._begin()

    def channels(self, channels: Iterable[str]) -> None:
        """Something said to these may be lost."""
        self._channels.update(channels)
        self._begin()

    def stop(self) -> asyncio.Task[None] | None:
        """Look no more; the task that ends."""
        self._shards.clear()
        self._channels.clear()
        if self._task is not None:
            self._task.cancel()
        return self._task

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._heal())

    async def _heal(self) -> None:
        while self._shards or self._channels:
            shards, self._shards = self._shards, set()
            channels, self._channels = self._channels, set()
            metrics.bus_heals.inc()
            try:
                await self._streams.catch_up(self._doubtful(shards, channels))
            except Exception as trouble:
                log.warning("heal_failed", error=type(trouble).__name__)
                self._shards |= shards
                self._channels |= channels
                await asyncio.sleep(PAUSE)

    def _doubtful(self, shards: set[int], channels: set[str]) -> Collection[str] | None:
        """The streams in doubt; None for all."""
        if len(shards) == SHARDS:
            return None
        if not shards:
            return channels
        return channels | {name for name in self._streams.streams if shard_of(name) in shards}
