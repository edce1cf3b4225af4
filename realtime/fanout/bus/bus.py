"""`RedisBus`: one node's ear and mouth among the nodes.

It may lose anything. So it tells when it did: a node that was deaf, or hears a number that leaves one out,
compares its streams with the database; a node whose publishing failed makes the others do so.
"""

import asyncio
from collections.abc import Collection, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from common import metrics
from common.redis_url import RedisUrl
from realtime.fanout.bus.codec import Codec
from realtime.fanout.bus.healing import Healing
from realtime.fanout.bus.inbox import Inbox
from realtime.fanout.bus.link import STOP_SECONDS, Link, Troubles
from realtime.fanout.bus.outbox import Outbox
from realtime.fanout.bus.servers import Server, servers_of
from realtime.fanout.bus.shards import SHARDS, Interest, Names
from realtime.fanout.packets import Delivery

log = structlog.get_logger(__name__)

UPKEEP = 1.0
SETTLE = 1.0
LAST_WORDS = 1.0
FIRST_PAUSE, MAX_PAUSE = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class BusKey:
    """Which Plaza a node belongs to: nodes of one `space` and one `secret` understand each other."""

    space: str
    secret: bytes


class Local(Protocol):
    """This node's sockets and streams."""

    @property
    def streams(self) -> Collection[str]: ...

    def deliver(self, delivery: Delivery) -> None: ...

    async def catch_up(self, among: Collection[str] | None = None) -> None: ...


class RedisBus:
    """Says deliveries to the other nodes, and hears the shards that have listeners here."""

    def __init__(self, url: RedisUrl, node: str, key: BusKey, local: Local) -> None:
        self.node, self.names = node, Names(key.space)
        self.codec, self.outbox = Codec(node, key.secret), Outbox()
        self._servers = servers_of(url, self.names)
        self._healing = Healing(local)
        self._inbox = Inbox(self.codec, local.deliver, self._healing)
        self._interest = Interest()
        self._links: dict[Server, Link] = {}
        self._at: list[Link | None] = [None] * SHARDS
        self._stale, self._idle, self._settled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_looking, self._is_stopped = True, False

    @property
    def is_up(self) -> bool:
        """Whether this node hears itself on every server that has a shard."""
        return None not in self._at and all(link.is_up for link in self._links.values())

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing waits to be said, no stream is in doubt, and nobody looks for a server."""
        said = not len(self.outbox) and all(link.is_idle for link in self._links.values())
        return said and self._healing.is_at_rest and not self._is_looking

    async def start(self) -> None:
        """Begin to listen and to publish; a bus that is down now is tried again for ever."""
        for work in (self._keep_links(), self._look_after()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def stop(self) -> None:
        """Publish what waits, within a second, then stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while len(self.outbox) or not all(link.is_idle for link in self._links.values()):
                    self._idle.clear()
                    await self._idle.wait()
        self._is_stopped = True
        tasks = [task for task in (*self._tasks, self._healing.stop()) if task is not None]
        for task in self._tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        await asyncio.gather(*(link.close() for link in self._links.values()))

    # -- what fan-out asks

    def send(self, delivery: Delivery) -> None:
        """Queue a delivery for the other nodes; what does not fit becomes a hint or is dropped."""
        for shard in self.outbox.put(delivery):
            link = self._at[shard]
            if link is not None and link.is_open:
                link.poke()
            elif dropped := self.outbox.drop({shard}):
                metrics.bus_lost.labels("down").inc(dropped)

    def wanted(self, channel: str) -> None:
        shard = self._interest.add(channel)
        if shard is None:
            return
        metrics.bus_shards.set(len(self._interest.wanted))
        link = self._at[shard]
        if link is not None:
            link.want(shard)

    def unwanted(self, channel: str) -> None:
        self._interest.remove(channel, asyncio.get_running_loop().time())

    async def settle(self) -> None:
        """Wait until everything wanted is heard, or cannot be heard soon."""
        if self._is_settled():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while not self._is_settled():
                    self._settled.clear()
                    await self._settled.wait()

    def _is_settled(self) -> bool:
        return all(link.is_settled for link in self._links.values())

    # -- what links tell

    def heard(self, shard: int, data: bytes) -> None:
        self._inbox.take(shard, data)

    def hearing(self, shard: int) -> None:
        self._inbox.forget(shard)
        self._healing.shards((shard,))

    def moved(self) -> None:
        self._stale.set()

    def changed(self) -> None:
        self._idle.set()
        self._settled.set()

    # -- upkeep

    async def _keep_links(self) -> None:
        """Know which server has which shards, as often as there is reason to doubt it."""
        pause = FIRST_PAUSE
        while not self._is_stopped:
            self._stale.clear()
            try:
                await self._rearrange(await self._servers.locate())
            except Troubles as trouble:
                log.warning("bus_servers_unknown", error=type(trouble).__name__)
            if self._is_whole():
                pause = FIRST_PAUSE
                self._is_looking = False
                await self._stale.wait()
                self._is_looking = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE)

    def _is_whole(self) -> bool:
        return None not in self._at and all(link.is_whole for link in self._links.values())

    async def _rearrange(self, found: Mapping[Server, Set[int]]) -> None:
        """Let every server have its shards; a shard that moves owes the others a word."""
        for server in found.keys() - self._links.keys():
            self._links[server] = Link(server, self._servers, self, self)
        at: list[Link | None] = [None] * SHARDS
        for server, shards in found.items():
            for shard in shards:
                at[shard] = self._links[server]
        before, self._at = self._at, at
        self.outbox.owe(s for s in range(SHARDS) if before[s] is not at[s] and before[s] is not None)
        for server, shards in found.items():
            self._links[server].serve(shards, self._interest.wanted)
        for server in self._links.keys() - found.keys():
            await self._links.pop(server).close()

    async def _look_after(self) -> None:
        """Once a second: let go of shards that nobody needs, and say how we are."""
        while not self._is_stopped:
            metrics.bus_up.set(self.is_up)
            for shard in self._interest.expire(asyncio.get_running_loop().time()):
                link = self._at[shard]
                if link is not None:
                    link.give_up(shard)
            metrics.bus_shards.set(len(self._interest.wanted))
            await asyncio.sleep(UPKEEP)
