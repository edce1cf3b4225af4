"""Group commit: many writers, few inserts, one gapless order for each stream.

Callers queue drafts; a worker numbers what has gathered behind the last stored position of each stream and
inserts it in order with one majority write. The unique index on (stream, position) decides races with other
nodes: on a collision what came before stands, the rest is numbered again. The unique idempotency key decides
retries. Entries of one stream always go through the same worker, so one caller's order never breaks.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import structlog

from common import metrics
from common.errors import AppError, Conflict, Overloaded, Timeout, Unavailable, as_app_error
from common.ids import Id

log = structlog.get_logger(__name__)

MAX_HEADS = 100_000
DEADLINE = 10.0
MAX_CHECK_PAUSE = 5.0
FEW = 16
GATHER_SECONDS = 0.003
"""Under load a worker that finds few drafts lets more gather: an insert costs more than an entry in it."""


class KeyKnown(Conflict):
    """The idempotency key is known: what was asked for has happened before."""


class Collision(Protocol):
    @property
    def index(self) -> int: ...

    @property
    def taken(self) -> Literal["position", "key"]: ...


class Draft:
    """An entry on its way into a stream. `position` is set when it has one; `done` when it is stored.

    `said` is for whoever says the entry, and for those who wait for it.
    """

    __slots__ = ("done", "entry", "key", "position", "said", "stream")

    def __init__(self, stream: Id, entry: Any, key: str | None = None) -> None:
        self.stream, self.entry, self.key = stream, entry, key
        self.position = 0
        self.said: Any = None
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()


class StreamLog(Protocol):
    """Where the entries of one kind of stream are stored."""

    @property
    def name(self) -> str: ...

    async def head(self, stream: Id) -> int:
        """The last stored position; 0 for an empty stream."""
        ...

    async def append(self, drafts: Sequence[Draft]) -> Collision | None:
        """Insert in order with the positions the drafts have."""
        ...

    async def known(self, drafts: Sequence[Draft]) -> set[str]:
        """Those keys of the drafts that are stored already."""
        ...

    def hint(self, stream: Id, position: int) -> None:
        """Entries up to `position` are stored, and some of them may never have been said."""
        ...


class StreamWriter:
    """Stores drafts of one kind of stream and hands them on, in order, once they are stored."""

    def __init__(
        self,
        target: StreamLog,
        stored: Callable[[Sequence[Draft]], Awaitable[None]],
        *,
        batch: int = 256,
        waiting: int = 20_000,
        workers: int = 2,
    ) -> None:
        self._workers = [
            _Worker(target, stored, batch, max(1, waiting // workers)) for _ in range(max(1, workers))
        ]

    def append(self, draft: Draft) -> asyncio.Future[int]:
        """Queue a draft; the future is its position once it is stored and said. Raises `Overloaded`.

        The future fails with `KeyKnown` for a known key, and with a retryable error when it is unknown
        whether the entry was stored.
        """
        self._worker(draft.stream).put(draft)
        return draft.done

    def observe(self, stream: Id, position: int) -> None:
        """Another node has stored up to `position`."""
        self._worker(stream).observe(stream, position)

    async def stop(self, seconds: float) -> None:
        """Store what waits, within `seconds`."""
        await asyncio.gather(*(worker.stop(seconds) for worker in self._workers))

    def _worker(self, stream: Id) -> "_Worker":
        return self._workers[hash(stream) % len(self._workers)]


class _Worker:
    """One insert at a time, each with everything that has gathered since the last."""

    def __init__(
        self,
        target: StreamLog,
        stored: Callable[[Sequence[Draft]], Awaitable[None]],
        batch: int,
        most: int,
    ) -> None:
        self._target, self._stored, self._batch, self._most = target, stored, batch, most
        self._waiting: deque[Draft] = deque()
        self._heads: OrderedDict[Id, int] = OrderedDict()
        self._keys: dict[str, Draft] = {}
        self._task: asyncio.Task[None] | None = None
        self._unsure: set[Id] = set()
        self._checker: asyncio.Task[None] | None = None

    def put(self, draft: Draft) -> None:
        if len(self._waiting) >= self._most:
            raise Overloaded
        if draft.key is not None and not self._claim(draft, draft.key):
            return
        self._waiting.append(draft)
        metrics.commit_waiting.labels(self._target.name).inc()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def _claim(self, draft: Draft, key: str) -> bool:
        """The first draft with a key goes on; one that comes meanwhile shares its fate."""
        first = self._keys.setdefault(key, draft)
        if first is draft:
            draft.done.add_done_callback(lambda _: self._keys.pop(key, None))
            return True

        def follow(done: asyncio.Future[int]) -> None:
            known = not done.cancelled() and done.exception() is None
            draft.fail(KeyKnown() if known else _error_of(done))

        first.done.add_done_callback(follow)
        return False

    def observe(self, stream: Id, position: int) -> None:
        if stream in self._heads and self._heads[stream] < position:
            self._heads[stream] = position

    async def stop(self, seconds: float) -> None:
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        if self._checker is not None:
            self._checker.cancel()

    async def _work(self) -> None:
        busy = False
        while self._waiting:
            if busy and len(self._waiting) < FEW:
                await asyncio.sleep(GATHER_SECONDS)
            busy = True
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch))]
            metrics.commit_waiting.labels(self._target.name).dec(len(batch))
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._commit(batch)
            except Exception as error:
                self._give_up(batch, error)
        self._task = None

    def _give_up(self, batch: Sequence[Draft], error: Exception) -> None:
        """Whether these were stored is unknown; callers retry with the same key."""
        problem = as_app_error(error)
        if problem.code == "internal":
            log.exception("group_commit_failed", log=self._target.name, exc_info=error)
        for draft in batch:
            self._heads.pop(draft.stream, None)
            draft.fail(problem)
        self._unsure |= {draft.stream for draft in batch}
        if self._checker is None:
            self._checker = asyncio.get_running_loop().create_task(self._check_unsure())

    async def _check_unsure(self) -> None:
        """What was stored although its insert seemed to fail has not been said: see to it when we can."""
        pause = 0.1
        while self._unsure:
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_CHECK_PAUSE)
            with contextlib.suppress(Exception):
                for stream in tuple(self._unsure):
                    self._target.hint(stream, await self._target.head(stream))
                    self._unsure.discard(stream)
        self._checker = None

    async def _commit(self, batch: list[Draft]) -> None:
        started = time.perf_counter()
        metrics.commit_size.labels(self._target.name).observe(len(batch))
        while batch:
            await self._number(batch)
            collision = await self._target.append(batch)
            stored = batch if collision is None else batch[: collision.index]
            batch = batch[len(stored) :]
            await self._accept(stored)
            if collision is not None:
                metrics.commit_collisions.labels(self._target.name).inc()
                refused = batch[0]
                if collision.taken == "key":
                    batch = await self._without_known(batch)
                else:
                    self._heads.pop(refused.stream, None)
        metrics.commit_seconds.labels(self._target.name).observe(time.perf_counter() - started)

    async def _without_known(self, batch: list[Draft]) -> list[Draft]:
        """Answer every retry in the batch at once, so that many of them cost no more than one."""
        known = await self._target.known(batch)
        batch[0].fail(KeyKnown())
        rest: list[Draft] = []
        for draft in batch[1:]:
            if draft.key is not None and draft.key in known:
                draft.fail(KeyKnown())
            else:
                rest.append(draft)
        return rest

    async def _number(self, batch: Sequence[Draft]) -> None:
        unknown = {draft.stream for draft in batch} - self._heads.keys()
        if unknown:
            streams = list(unknown)
            heads = await asyncio.gather(*(self._target.head(stream) for stream in streams))
            self._heads.update(zip(streams, heads, strict=True))
        last: dict[Id, int] = {}
        for draft in batch:
            draft.position = last[draft.stream] = last.get(draft.stream, self._heads[draft.stream]) + 1

    async def _accept(self, stored: Sequence[Draft]) -> None:
        if not stored:
            return
        for draft in stored:
            self._heads[draft.stream] = draft.position
            self._heads.move_to_end(draft.stream)
        while len(self._heads) > MAX_HEADS:
            self._heads.popitem(last=False)
        await self._stored(stored)
        for draft in stored:
            if not draft.done.done():
                draft.done.set_result(draft.position)


def _error_of(done: "asyncio.Future[int]") -> AppError:
    error = None if done.cancelled() else done.exception()
    return error if isinstance(error, AppError) else Timeout() if error else Unavailable()
