"""Hearing on one connection: which shards are subscribed to, and the canary that proves it."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import structlog

from realtime.fanout.bus.shards import Names
from realtime.fanout.bus.verbs import Verbs
from realtime.fanout.bus.wire import Wire

log = structlog.get_logger(__name__)

BEAT = 1.0
MISSED = 2


class Heard(Protocol):
    """Who wants to know how the subscriptions stand."""

    def hearing(self, shard: int) -> None:
        """From now on the shard is heard; nobody knows what was said before."""
        ...

    def moved(self) -> None:
        """A shard is not where it was looked for."""
        ...

    def changed(self) -> None:
        """What was waited for has come, or will not come soon."""
        ...


class Ear:
    """The subscriptions of one connection. `wanted` outlives the connection, the rest does not."""

    def __init__(self, names: Names, verbs: Verbs, hub: Heard) -> None:
        self._names, self._verbs, self._hub = names, verbs, hub
        self._wanted: set[int] = set()
        self._asked: set[int] = set()
        self._hearing: set[int] = set()
        self._refused: set[int] = set()
        self._wire: Wire | None = None

    @property
    def is_deaf(self) -> bool:
        """Whether the server does not let us hear something that is wanted."""
        return not self._refused.isdisjoint(self._wanted)

    @property
    def is_settled(self) -> bool:
        """Whether no subscription is under way."""
        return not self._asked

    @property
    def is_whole(self) -> bool:
        return self._hearing >= self._wanted

    def open(self, wire: Wire) -> None:
        self._wire = wire
        self._asked, self._hearing, self._refused = set(), set(), set()
        self.renew()

    def close(self) -> None:
        self._wire = None
        self._asked, self._hearing = set(), set()
        self._hub.changed()

    def want(self, shards: Iterable[int]) -> None:
        """Hear these from now on."""
        self._wanted.update(shards)
        self.renew()

    def renew(self) -> None:
        """Subscribe to what is wanted and neither heard nor asked for."""
        if self._wire is None:
            return
        for shard in sorted(self._wanted - self._asked - self._hearing):
            self._asked.add(shard)
            answer = partial(self._answered, self._wire, shard)
            self._wire.subscribe(answer, self._verbs.subscribe, self._names.shard(shard))

    def give_up(self, shards: Iterable[int]) -> None:
        """Hear these no longer."""
        for shard in set(shards) & self._wanted:
            self._wanted.discard(shard)
            if self._wire is not None and (shard in self._asked or shard in self._hearing):
                self._asked.discard(shard)
                self._hearing.discard(shard)
                self._wire.subscribe(_ignore, self._verbs.unsubscribe, self._names.shard(shard))
        self._hub.changed()

    def taken(self, shard: int) -> None:
        """The server ended the subscription by itself."""
        self._hearing.discard(shard)
        self._refused.add(shard)
        self._hub.moved()

    def _answered(self, wire: Wire, shard: int, answer: Any) -> None:
        if wire is not self._wire or shard not in self._asked:
            return
        self._asked.discard(shard)
        if isinstance(answer, Exception):
            log.warning("bus_subscribe_failed", shard=shard, error=str(answer)[:200])
            self._refused.add(shard)
            self._hub.moved()
        else:
            self._hearing.add(shard)
            self._refused.discard(shard)
            self._hub.hearing(shard)
        if not self._asked:
            self._hub.changed()


class Canary:
    """Speaks to its own node once a beat. Two songs that nobody hears, and the connection is given up."""

    def __init__(self, verbs: Verbs, moved: Callable[[], None]) -> None:
        self._verbs, self._moved = verbs, moved
        self._wire: Wire | None = None
        self._channel = b""
        self._songs: deque[bytes] = deque(maxlen=MISSED)
        self._unheard = 0
        self._timer: asyncio.TimerHandle | None = None
        self.has_been_heard = False

    def open(self, wire: Wire, channel: bytes) -> None:
        """Listen to `channel` and begin to sing on it."""
        self._wire, self._channel = wire, channel
        self._songs.clear()
        self._unheard, self.has_been_heard = 0, False
        wire.subscribe(self._answered, self._verbs.subscribe, channel)
        self._sing()

    def close(self) -> None:
        self._wire, self.has_been_heard = None, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_mine(self, channel: bytes) -> bool:
        return channel == self._channel

    def heard(self, song: bytes) -> None:
        """Something came on our channel; only a song of ours proves anything."""
        if song in self._songs:
            self._songs.clear()
            self._unheard, self.has_been_heard = 0, True

    def _sing(self) -> None:
        if self._wire is None:
            return
        if self._unheard >= MISSED:
            log.warning("bus_deaf")
            self._wire.abort()
            return
        self._unheard += 1
        self._songs.append(secrets.token_bytes(16))
        self._wire.post(self._answered, self._verbs.publish, self._channel, self._songs[-1])
        self._timer = asyncio.get_running_loop().call_later(BEAT, self._sing)

    def _answered(self, answer: Any) -> None:
        if isinstance(answer, Exception) and self._wire is not None:
            log.info("bus_canary_refused", error=str(answer)[:200])
            self._moved()


def _ignore(_: Any) -> None:
    """An answer that changes nothing."""
