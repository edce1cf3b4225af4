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
    """Remembers what `load` answered. Those who ask together share one load; `forget` holds at once."""

    def __init__(
        self, load: Callable[[str], Awaitable[V]], *, seconds: float = SECONDS, most: int = MOST
    ) -> None:
        self._load, self._seconds, self._most = load, seconds, most
        self._known: OrderedDict[str, tuple[float, asyncio.Task[V]]] = OrderedDict()

    async def get(self, key: str) -> V:
        """What the database says about `key`, or said at most a second ago."""
        loop = asyncio.get_running_loop()
        known = self._known.get(key)
        if known is None or known[0] <= loop.time():
            known = loop.time() + self._seconds, loop.create_task(self._loaded(key))
            self._known[key] = known
            self._known.move_to_end(key)
            self._trim()
        return await asyncio.shield(known[1])

    def forget(self, key: str) -> None:
        """Ask again next time; an answer that is on its way is not remembered."""
        self._known.pop(key, None)

    async def _loaded(self, key: str) -> V:
        try:
            return await self._load(key)
        except BaseException:
            self.forget(key)
            raise

    def _trim(self) -> None:
        """Drop what is too old, and the oldest when it is too many; those asked for last are at the end."""
        now = asyncio.get_running_loop().time()
        while self._known:
            key, (until, _) = next(iter(self._known.items()))
            if until > now and len(self._known) <= self._most:
                return
            del self._known[key]

    def __len__(self) -> int:
        return len(self._known)
