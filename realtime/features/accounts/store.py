"""Answers of the database, remembered for a second: every request asks who its caller is."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")

SECONDS = 1.0
"""How long another node's change may go unnoticed."""
MOST = 20_000


class Briefly(Generic[V]):
    """Remembers what `load` answered; `forget` holds at once, also for an answer that is on its way."""

    def __init__(
        self, load: Callable[[str], Awaitable[V]], *, seconds: float = SECONDS, most: int = MOST
    ) -> None:
        self._load, self._seconds, self._most = load, seconds, most
        self._known: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._forgotten = 0

    async def get(self, key: str) -> V:
        """What the database says about `key`, or said at most a second ago."""
        now = asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        forgotten = self._forgotten
        answer = await self._load(key)
        if forgotten == self._forgotten:
            self._known[key] = (now + self._seconds, answer)
            self._known.move_to_end(key)
            self._trim(now)
        return answer

    def forget(self, key: str) -> None:
        """Ask again next time."""
        self._known.pop(key, None)
        self._forgotten += 1

    def _trim(self, now: float) -> None:
        """Drop what is too old, and the oldest when it is too many; those asked for last are at the end."""
        while self._known:
            key, (until, _) = next(iter(self._known.items()))
            if until > now and len(self._known) <= self._most:
                return
            del self._known[key]

    def __len__(self) -> int:
        return len(self._known)
