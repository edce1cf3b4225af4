"""Publishing on one connection, in turns: while one is under way the next gathers.

So the busier the bus, the more travels at a time. A turn whose publishing failed makes a pause.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from common import metrics
from realtime.fanout.bus.codec import Codec
from realtime.fanout.bus.outbox import Outbox, Parcel
from realtime.fanout.bus.shards import Names
from realtime.fanout.bus.verbs import Verbs
from realtime.fanout.bus.wire import Answer, Wire, pack

log = structlog.get_logger(__name__)

MAX_TURN = 4 * 1024 * 1024
FIRST_PAUSE, MAX_PAUSE = 0.05, 2.0


class Mouth:
    """Says what waits in the outbox for its `shards`."""

    def __init__(
        self, codec: Codec, outbox: Outbox, names: Names, verbs: Verbs, after: Callable[[bool], None]
    ) -> None:
        self._codec, self._outbox, self._names, self._verbs = codec, outbox, names, verbs
        self._after = after
        self.shards: frozenset[int] = frozenset()
        self._wire: Wire | None = None
        self._in_flight = 0
        self._failure: str | None = None
        self._pause = FIRST_PAUSE
        self._next: asyncio.Handle | None = None

    @property
    def is_idle(self) -> bool:
        return not self._in_flight

    def open(self, wire: Wire) -> None:
        """Speak over this connection from now on, beginning with what is owed."""
        self._wire, self._in_flight, self._failure, self._pause = wire, 0, None, FIRST_PAUSE
        self.poke()

    def close(self) -> None:
        """The connection is gone, and with it what waited: it is late before it can be said."""
        self._wire = None
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if dropped := self._outbox.drop(self.shards):
            metrics.bus_lost.labels("down").inc(dropped)

    def poke(self) -> None:
        """Something waits: say it once this round of the loop has said all it has."""
        if self._next is None and not self._in_flight and self._wire is not None:
            self._next = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._next, wire = None, self._wire
        if wire is None:
            return
        parcels = self._outbox.take(self.shards, MAX_TURN)
        commands: list[bytes] = []
        answers: list[Answer] = []
        for parcel in parcels:
            data = self._codec.seal(parcel.shard, parcel.number, parcel.heal, parcel.deliveries)
            commands.append(pack(self._verbs.publish, self._names.shard(parcel.shard), data))
            answers.append(partial(self._answered, wire, parcel))
        self._in_flight = len(parcels)
        if parcels:
            wire.post_all(commands, answers)

    def _answered(self, wire: Wire, parcel: Parcel, answer: Any) -> None:
        count = len(parcel.deliveries)
        if isinstance(answer, Exception):
            self._failure = str(answer)
            self._outbox.owe((parcel.shard,))
            metrics.bus_lost.labels("publish_failed").inc(count)
        else:
            metrics.bus_published.inc(count)
        if wire is not self._wire:
            return
        self._in_flight -= 1
        if not self._in_flight:
            self._end_turn()

    def _end_turn(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            log.warning("bus_publish_failed", error=failure[:200])
            loop = asyncio.get_running_loop()
            self._next = loop.call_later(self._pause, self._take_turn)
            self._pause = min(self._pause * 2, MAX_PAUSE)
        else:
            self._pause = FIRST_PAUSE
            if self._outbox.waits(self.shards):
                self.poke()
        self._after(failure is not None)
