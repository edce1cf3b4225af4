"""One server of the bus: what lives there is said and heard over one connection, kept up for ever."""

import asyncio
import random
from collections.abc import Set
from typing import Protocol

import structlog

from realtime.fanout.bus.codec import Codec
from realtime.fanout.bus.ear import Canary, Ear, Heard
from realtime.fanout.bus.mouth import Mouth
from realtime.fanout.bus.outbox import Outbox
from realtime.fanout.bus.servers import Server, Servers
from realtime.fanout.bus.shards import Names
from realtime.fanout.bus.verbs import PLAIN, SHARDED
from realtime.fanout.bus.wire import Refused, Wire

log = structlog.get_logger(__name__)

CONNECT = 2.0
FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0
STOP_SECONDS = 2.0

Troubles = (OSError, TimeoutError, Refused)


class Hub(Heard, Protocol):
    """What a link tells the bus."""

    def heard(self, shard: int, data: bytes) -> None: ...


class Voice(Protocol):
    """What all links of a node have in common."""

    @property
    def node(self) -> str: ...

    @property
    def names(self) -> Names: ...

    @property
    def codec(self) -> Codec: ...

    @property
    def outbox(self) -> Outbox: ...


class Link:
    """Owns the connection to one server."""

    def __init__(self, server: Server, servers: Servers, voice: Voice, hub: Hub) -> None:
        self._server, self._servers, self._hub = server, servers, hub
        self._names, self._node = voice.names, voice.node
        verbs = SHARDED if servers.is_cluster else PLAIN
        self._mouth = Mouth(voice.codec, voice.outbox, voice.names, verbs, self._said)
        self._ear = Ear(voice.names, verbs, hub)
        self._canary = Canary(verbs, hub.moved)
        self._nest = -1
        self._wire: Wire | None = None
        self._lost = asyncio.Event()
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether the connection has carried our canary to us, and no subscription was refused."""
        return self._canary.has_been_heard and not self._ear.is_deaf

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    @property
    def is_settled(self) -> bool:
        """Whether everything wanted is heard, or cannot be heard soon."""
        return self._ear.is_settled

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing left to put right."""
        return self.is_up and self._ear.is_whole

    @property
    def is_idle(self) -> bool:
        return self._mouth.is_idle

    @property
    def shards(self) -> frozenset[int]:
        return self._mouth.shards

    def serve(self, shards: Set[int], wanted: Set[int]) -> None:
        """Speak on `shards`, which live here, and hear those of them that are wanted."""
        self._ear.give_up(self._mouth.shards - shards)
        self._mouth.shards = frozenset(shards)
        self._mouth.poke()  # a shard that has just moved here may owe a word
        self._ear.want(wanted & shards)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())
        elif self._wire is not None and self._nest not in shards:
            self._wire.abort()  # the canary cannot be heard from elsewhere

    def want(self, shard: int) -> None:
        self._ear.want((shard,))

    def give_up(self, shard: int) -> None:
        self._ear.give_up((shard,))

    def poke(self) -> None:
        """Something waits in the outbox."""
        self._mouth.poke()

    async def close(self) -> None:
        """Hang up."""
        self._is_closed = True
        if self._wire is not None:
            self._wire.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=STOP_SECONDS)

    # -- the connection

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._is_closed:
            try:
                place = await self._servers.resolve(self._server)
                async with asyncio.timeout(CONNECT):
                    wire = await place.dial(lambda: Wire(self))
            except Troubles as trouble:
                log.warning("bus_unreachable", server=str(self._server), error=type(trouble).__name__)
            else:
                self._open(wire)
                await self._lost.wait()
                if self._was_heard:
                    pause = FIRST_PAUSE
            self._hub.moved()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (nobody guards anything by it)
            pause = min(pause * 2, MAX_PAUSE)

    def _open(self, wire: Wire) -> None:
        self._lost.clear()
        self._was_heard = False
        self._wire, self._nest = wire, min(self._mouth.shards)
        self._canary.open(wire, self._names.ear(self._nest, self._node))
        self._ear.open(wire)
        self._mouth.open(wire)

    def lost(self, wire: Wire, why: str) -> None:
        if wire is not self._wire:
            return
        if not self._is_closed:
            log.warning("bus_connection_lost", server=str(self._server), why=why)
        self._was_heard = self._canary.has_been_heard
        self._wire = None
        self._mouth.close()
        self._ear.close()
        self._canary.close()
        self._lost.set()

    # -- what it brings

    def heard(self, channel: bytes, data: bytes) -> None:
        shard = self._names.by_name.get(channel)
        if shard is not None:
            self._hub.heard(shard, data)
        elif self._canary.is_mine(channel):
            self._canary.heard(data)

    def unsubscribed(self, channel: bytes) -> None:
        shard = self._names.by_name.get(channel)
        if shard is not None:
            self._ear.taken(shard)
        elif self._canary.is_mine(channel) and self._wire is not None:
            self._wire.abort()

    def _said(self, failed: bool) -> None:
        if failed:
            self._hub.moved()
        self._hub.changed()
