"""Questions that are asked together go to the database as one.

When many people connect at once, each needs the same few things read. Asked one by one that is most of what a
connection costs; asked as one, next to nothing. While one question is on its way, the next ones gather; in a
crowd they gather a moment longer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST = 500
"""Keys in one question."""
PAUSE = 0.01
"""Seconds between two questions while several ask together."""


class Batch(Generic[K, V]):
    """`get(key)` answers from a `load(keys)` that began after it was asked; None is what `load` leaves out.

    One load is under way at a time. An error is that of everybody who asked with it.
    """

    def __init__(self, load: Callable[[list[K]], Awaitable[Mapping[K, V]]], *, most: int = MOST) -> None:
        self._load, self._most = load, most
        self._asked: dict[K, list[asyncio.Future[V | None]]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def get(self, key: K) -> V | None:
        """What the database says about `key` now."""
        return await self.ask(key)

    async def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The same of many keys: those that have an answer."""
        asked = list(dict.fromkeys(keys))
        answers = await asyncio.gather(*map(self.ask, asked))
        return {key: value for key, value in zip(asked, answers, strict=True) if value is not None}

    def ask(self, key: K) -> "asyncio.Future[V | None]":
        """The same, to be awaited later: the question is under way from now on."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[V | None] = loop.create_future()
        asked = self._asked.get(key)
        if asked is None:
            self._asked[key] = [answer]
        else:
            asked.append(answer)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        return answer

    async def _work(self) -> None:
        """Ask for what has gathered, until nothing has."""
        try:
            while self._asked:
                keys = list(self._asked)[: self._most]
                await self._answer({key: self._asked.pop(key) for key in keys})
                if len(keys) > 1:
                    await asyncio.sleep(PAUSE)
        finally:
            self._worker = None

    async def _answer(self, asked: Mapping[K, list["asyncio.Future[V | None]"]]) -> None:
        waiting = [key for key, answers in asked.items() if not all(answer.done() for answer in answers)]
        try:
            found: Mapping[K, V] = await self._load(waiting) if waiting else {}
        except Exception as error:
            for answers in asked.values():
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(error)
                        answer.exception()  # who asks for two things may stop at the first that fails
            return
        for key in waiting:
            value = found.get(key)
            for answer in asked[key]:
                if not answer.done():
                    answer.set_result(value)
