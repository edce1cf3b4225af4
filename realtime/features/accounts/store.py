"""What is remembered for a while: answers of the database that every request needs, and who was counted."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Generic, TypeVar

from realtime.batches import Batch

V = TypeVar("V")

SECONDS = 1.0
"""How long another node's change may go unnoticed."""
MOST = 20_000


class Briefly(Generic[V]):
    """Remembers what `load` answered; `forget` holds at once, also for an answer that is on its way.

    Those who ask together are answered by one load; None is what it leaves out.
    """

    def __init__(
        self,
        load: Callable[[list[str]], Awaitable[Mapping[str, V]]],
        *,
        seconds: float = SECONDS,
        most: int = MOST,
    ) -> None:
        self._load, self._seconds, self._most = load, seconds, most
        self._known: OrderedDict[str, tuple[float, V | None]] = OrderedDict()
        self._batch: Batch[str, V] = Batch(self._loaded)
        self._forgotten = 0

    async def get(self, key: str) -> V | None:
        """What the database says about `key`, or said at most a second ago."""
        return await self.ask(key)

    def ask(self, key: str) -> "asyncio.Future[V | None]":
        """The same, to be awaited later."""
        until, value = self._known.get(key, (0.0, None))
        if until <= monotonic():
            return self._batch.ask(key)
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        answer.set_result(value)
        return answer

    def forget(self, key: str) -> None:
        """Ask again next time."""
        self._known.pop(key, None)
        self._forgotten += 1

    async def _loaded(self, keys: list[str]) -> Mapping[str, V]:
        asked_at, forgotten = monotonic(), self._forgotten
        found = await self._load(keys)
        if forgotten == self._forgotten:
            for key in keys:
                self._known[key] = (asked_at + self._seconds, found.get(key))
                self._known.move_to_end(key)
            self._trim()
        return found

    def _trim(self) -> None:
        """Drop what is too old, and the oldest when it is too many; those asked for last are at the end."""
        now = monotonic()
        while self._known:
            key, (until, _) = next(iter(self._known.items()))
            if until > now and len(self._known) <= self._most:
                return
            del self._known[key]

    def __len__(self) -> int:
        return len(self._known)


class Seldom:
    """Lets each key through once in `seconds`; forgets those that came first when there are too many."""

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self._seconds, self._most = seconds, most
        self._due: OrderedDict[str, float] = OrderedDict()

    def is_due(self, key: str) -> bool:
        """Whether it is this key's turn again; if so, the next one comes in `seconds`."""
        moment = monotonic()
        if self._due.get(key, 0.0) > moment:
            return False
        self._set(key, moment + self._seconds)
        return True

    def rest(self, key: str, seconds: float) -> None:
        """Let this key through no more for so long."""
        self._set(key, monotonic() + seconds)

    def _set(self, key: str, due: float) -> None:
        self._due[key] = due
        self._due.move_to_end(key)
        if len(self._due) > self._most:
            self._due.popitem(last=False)

    def __len__(self) -> int:
        return len(self._due)
