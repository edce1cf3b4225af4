"""Turns: what concerns one thing happens one after the other on this node. Between nodes, versions decide."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from common.errors import Overloaded

DEADLINE = 8.0
MAX_WAITING = 256


@dataclass(slots=True)
class _Line:
    """Those who want a turn at one key, and the one who has it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    present: int = 0


class Turns:
    """One turn at a time for each key, in the order of asking. A key nobody wants costs nothing."""

    def __init__(self, deadline: float = DEADLINE, waiting: int = MAX_WAITING) -> None:
        self._deadline, self._most = deadline, waiting + 1
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncGenerator[None]:
        """Have a turn at `key`; raises `Overloaded` when too many wait, or the wait was too long.

        Whoever has a turn may not ask for another one at the same key.
        """
        line = self._lines.setdefault(key, _Line())
        if line.present >= self._most:
            raise Overloaded
        line.present += 1
        try:
            await self._wait(line)
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[key]

    async def _wait(self, line: _Line) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                await line.lock.acquire()
        except TimeoutError as error:
            raise Overloaded from error

    def __len__(self) -> int:
        return len(self._lines)
