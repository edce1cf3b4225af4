"""Rate budgets: so many requests and commands a minute, counted here at once and shared between nodes soon.

A budget is a sliding window made of two counters: this minute's, and last minute's as far as it still reaches
into the last sixty seconds. `hit` only looks at memory. What was used is added to Redis in the background and
the common count comes back; while Redis is away each node counts for itself.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common import metrics
from common.settings import Settings

log = structlog.get_logger(__name__)

Budget = Literal["public", "user", "upload"]

WINDOW = 60.0
SHORTEST = 0.001
"""Seconds that a refusal says to wait at least."""
SYNC = 0.2
HURRY = 0.02
"""A key that used this share of its limit since the last exchange does not wait for the next."""
BATCH = 500
MAX_KEYS = 50_000
PATIENCE = 1.0
MAX_PAUSE = 2.0
KEEP = int(2 * WINDOW)

Troubles = (RedisError, OSError, TimeoutError)


class Verdict(NamedTuple):
    """What a budget says. `retry_after` is 0 when allowed; `reset_seconds` is when this minute ends."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    retry_after: float


class _Count:
    """What one key used. `shared` is what all nodes are known to have used, `unsent` what only we know of."""

    __slots__ = ("ends", "flying", "is_dirty", "name", "previous", "shared", "unsent", "window")

    def __init__(self, name: str, window: int) -> None:
        self.name, self.window, self.ends = name, window, (window + 1) * WINDOW
        self.previous = self.shared = self.flying = self.unsent = 0
        self.is_dirty = False

    def roll(self, window: int) -> None:
        """Begin another minute."""
        used = self.shared + self.flying + self.unsent
        self.previous = used if window == self.window + 1 else 0
        self.shared = self.flying = self.unsent = 0
        self.window, self.ends = window, (window + 1) * WINDOW

    def heard(self, window: int, sent: int, current: int, previous: int) -> None:
        """Take over the common count; within a minute counts only grow, whatever Redis forgot."""
        if window != self.window:
            return
        self.flying -= sent
        self.shared = max(self.shared + sent, current)
        self.previous = max(self.previous, previous)

    def lost(self, window: int, sent: int) -> None:
        """What was sent did not arrive, as far as we know."""
        if window == self.window:
            self.flying -= sent
            self.unsent += sent


class RateLimits:
    """All budgets of a process. `hit` never waits."""

    def __init__(
        self, settings: Settings, redis: Redis | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        limits = settings.limits
        self._limits: dict[str, int] = {
            "public": limits.public_per_minute,
            "user": limits.user_per_minute,
            "upload": limits.uploads_per_minute,
        }
        self._counts: dict[str, dict[str, _Count]] = {budget: {} for budget in self._limits}
        self._denied = {budget: metrics.rate_limited.labels(budget) for budget in self._limits}
        self._redis, self._clock = redis, clock
        self._dirty: list[_Count] = []
        self._something, self._hurry = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to share counts, if there is anybody to share with."""
        if self._redis is not None:
            self._task = asyncio.get_running_loop().create_task(self._share(self._redis))

    async def stop(self) -> None:
        """Stop sharing; what was not shared yet expires within two minutes anyway."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hit(self, budget: Budget, key: str, cost: int = 1) -> Verdict:
        """Use `cost` of the budget of `key`, or be told when that will be possible."""
        limit, passed = self._limits[budget], self._clock() % WINDOW
        weighted, wait = self._use(budget, key, cost)
        if wait:
            return Verdict(False, limit, 0, WINDOW - passed, wait)
        return Verdict(True, limit, int(limit - weighted - cost), WINDOW - passed, 0.0)

    def wait(self, budget: Budget, key: str) -> float:
        """The same for those who need no more than the seconds until it is possible; 0 is now."""
        return self._use(budget, key, 1)[1]

    def _use(self, budget: Budget, key: str, cost: int) -> tuple[float, float]:
        """What was used before, and the seconds to wait when `cost` more is too much."""
        limit = self._limits[budget]
        now = self._clock()
        count = self._counts[budget].get(key)
        if count is None:
            count = self._new(budget, key, int(now // WINDOW))
        elif now >= count.ends:
            count.roll(int(now // WINDOW))
        weighted = used = count.shared + count.flying + count.unsent
        if count.previous:
            weighted += count.previous * min(1.0, (count.ends - now) / WINDOW)
        if weighted + cost > limit:
            self._denied[budget].inc()
            passed = now - count.window * WINDOW
            return weighted, max(_wait(limit - cost, used, count.previous, passed), SHORTEST)
        count.unsent += cost
        if not count.is_dirty:
            count.is_dirty = True
            self._touched(count)
        if count.unsent >= limit * HURRY:
            self._hurry.set()
        return weighted, 0.0

    def __len__(self) -> int:
        """How many keys are remembered."""
        return sum(len(counts) for counts in self._counts.values())

    def _new(self, budget: str, key: str, window: int) -> _Count:
        counts = self._counts[budget]
        if len(counts) >= MAX_KEYS:
            self._make_room(counts, window)
        count = counts[key] = _Count(f"{budget}:{key}", window)
        return count

    def _make_room(self, counts: dict[str, _Count], window: int) -> None:
        """Forget who has been quiet; if nobody was, forget the tenth that came first."""
        quiet = [key for key, count in counts.items() if count.window < window - 1]
        for key in quiet or list(counts)[: MAX_KEYS // 10]:
            del counts[key]

    # -- sharing

    def _touched(self, count: _Count) -> None:
        if self._redis is not None:
            self._dirty.append(count)
            self._something.set()

    async def _share(self, redis: Redis) -> None:
        pause = SYNC
        while True:
            await self._something.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNC):
                    await self._hurry.wait()
            batch, self._dirty = self._dirty[:BATCH], self._dirty[BATCH:]
            if not self._dirty:
                self._something.clear()
                self._hurry.clear()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._exchange(redis, batch)
                pause = SYNC
            except Troubles as trouble:
                log.warning("rate_limits_not_shared", error=type(trouble).__name__, keys=len(batch))
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE)

    async def _exchange(self, redis: Redis, batch: list[_Count]) -> None:
        """Add what was used here, and learn what was used everywhere."""
        sent: list[tuple[_Count, int, int]] = []
        pipe = redis.pipeline(transaction=False)
        for count in batch:
            count.is_dirty = False
            amount, count.unsent = count.unsent, 0
            count.flying += amount
            sent.append((count, count.window, amount))
            key = f"plaza:rate:{count.name}:{count.window}"
            pipe.incrby(key, amount)
            pipe.expire(key, KEEP)
            pipe.get(f"plaza:rate:{count.name}:{count.window - 1}")
        try:
            answers = await pipe.execute()
        except BaseException:
            for count, window, amount in sent:
                count.lost(window, amount)
                self._again(count)
            raise
        for (count, window, amount), at in zip(sent, range(0, len(answers), 3), strict=True):
            count.heard(window, amount, int(answers[at]), int(answers[at + 2] or 0))

    def _again(self, count: _Count) -> None:
        if count.unsent and not count.is_dirty:
            count.is_dirty = True
            self._touched(count)


def _wait(room: int, used: int, previous: int, passed: float) -> float:
    """Seconds until the weighted count has sunk to `room`."""
    if room < 0:
        return WINDOW
    if used <= room and previous > 0:
        return max(0.001, WINDOW * (1.0 - (room - used) / previous) - passed)
    return (WINDOW - passed) + max(0.0, WINDOW * (1.0 - room / used))
