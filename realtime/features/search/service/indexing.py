"""Reading new messages for search: behind the senders' backs, a little at a time, less when others are busy.

How far each conversation has been read is stored, so a crash loses nothing. What nobody remembers to read is
found by looking through the latest messages once a minute, on one node.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from common.clock import now
from common.errors import as_app_error
from common.ids import Id
from documents.search import WordsRead, WordsSweep
from realtime.features.messages.schemas import MessageOut
from realtime.features.search.store import MessageIndex, Said

log = structlog.get_logger(__name__)

PAUSE = 0.5
SWEEP_EVERY = timedelta(seconds=60)
OVERLAP = timedelta(seconds=60)
"""How far clocks of nodes may differ, and a commit may take, without a message being overlooked."""
AT_ONCE, OF_ONE = 100, 50
"""Messages read at a time, and messages of one conversation."""
LOOKED_AT = 1000
MOST_WAITING = 50_000
REST = 4.0
"""So many times as long as it worked, it rests."""
LATE, MUCH, BUSY_PAUSE = 0.01, 500, 1.0
"""Others come first: if the loop is late by so much, or so many messages come in a second, it waits."""
GLANCE = 0.005


class Archive(Protocol):
    """Where messages are read."""

    async def texts(self, ranges: Mapping[Id, tuple[int, int]]) -> Sequence[Said]: ...

    def heads_since(self, since: datetime, at_once: int) -> AsyncGenerator[dict[Id, int], None]: ...


class Indexer:
    """Owns one task, which reads what `heard` says is new."""

    def __init__(self, archive: Archive, index: MessageIndex) -> None:
        self._archive, self.index = archive, index
        self.waiting: OrderedDict[Id, int] = OrderedDict()
        """Conversations with new messages, and up to where."""
        self._heard, self._looked_at = 0, 0.0
        self._task: asyncio.Task[None] | None = None

    def heard(self, messages: Sequence[MessageOut]) -> None:
        """Messages were stored. Called for every one; what is too much to remember waits for the sweep."""
        self._heard += len(messages)
        for message in messages:
            known = self.waiting.get(message.conversation_id, 0)
            if known or len(self.waiting) < MOST_WAITING:
                self.waiting[message.conversation_id] = max(known, message.seq)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Leave what is not read to whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        sweep_at = loop.time()
        while True:
            try:
                if loop.time() >= sweep_at:
                    sweep_at = loop.time() + SWEEP_EVERY.total_seconds() / 4
                    await self.sweep()
                await self._read_waiting()
            except Exception as error:
                if as_app_error(error).code == "internal":
                    log.exception("indexing_failed")
            await asyncio.sleep(PAUSE)

    async def _read_waiting(self) -> None:
        while self.waiting:
            some = {key: self.waiting[key] for key in list(self.waiting)[:AT_ONCE]}
            await self.read(some)
            for key, seq in some.items():
                if self.waiting.get(key, 0) <= seq:
                    self.waiting.pop(key, None)

    async def sweep(self) -> None:
        """Read whatever was stored since the last time and has not been read, if it is this node's turn."""
        began, done_to = now(), await WordsSweep.claim(SWEEP_EVERY)
        if done_to is None:
            return
        async for heads in self._archive.heads_since(done_to - OVERLAP, LOOKED_AT):
            await self.read(heads)
            await self._read_waiting()
        await WordsSweep.done(began)

    async def read(self, heads: Mapping[Id, int]) -> None:
        """Read conversations up to these positions."""
        positions = await WordsRead.positions(heads.keys())
        left = {key: (positions[key], seq) for key, seq in heads.items() if positions[key] < seq}
        while left:
            await self._wait_for_others()
            started = asyncio.get_running_loop().time()
            part = _part(left)
            there = await self._add(part)
            await WordsRead.advance({key: last for key, (_, last) in part.items() if key in there})
            for key, (_, last) in part.items():
                head = left.pop(key)[1]
                if last < head:
                    left[key] = (last, head)
            await asyncio.sleep((asyncio.get_running_loop().time() - started) * REST)

    async def _add(self, part: Mapping[Id, tuple[int, int]]) -> set[Id]:
        """Store the words of these messages; the conversations that are there, for one may be gone.

        What cannot be stored, whatever is done, is left out: it must not stand in the way of the rest.
        """
        texts = await self._archive.texts(part)
        try:
            await self.index.add(texts)
        except Exception as error:
            if as_app_error(error).code != "internal":
                raise
            log.exception("messages_left_out", conversations=sorted(part))
        return {text.conversation for text in texts}

    async def _wait_for_others(self) -> None:
        """A moment, or longer if the loop has much to do."""
        loop = asyncio.get_running_loop()
        due = loop.time() + GLANCE
        await asyncio.sleep(GLANCE)
        rate = self._heard / max(GLANCE, loop.time() - self._looked_at)
        is_late, self._heard, self._looked_at = loop.time() - due > LATE, 0, loop.time()
        if is_late or rate > MUCH:
            await asyncio.sleep(BUSY_PAUSE)


def _part(left: Mapping[Id, tuple[int, int]]) -> dict[Id, tuple[int, int]]:
    """The next messages to read, of as many conversations as it takes."""
    part: dict[Id, tuple[int, int]] = {}
    count = 0
    for key, (first, head) in left.items():
        part[key] = (first, min(head, first + OF_ONE))
        count += part[key][1] - first
        if count >= AT_ONCE:
            break
    return part
