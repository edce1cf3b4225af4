"""A node's bus end alone: real fan-out, a real bus, and listeners and streams that remember."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from common.redis_url import RedisUrl
from realtime import channels
from realtime.fanout import Delivery, Fanout, LocalFanout, Packet
from realtime.fanout.bus import BusKey, RedisBus
from realtime.fanout.sending import NOWHERE
from tests.clients import eventually

KEY = BusKey("bus-test", b"a secret of the bus tests, long enough")


class Listener:
    """A connection that keeps what it is sent."""

    def __init__(self, name: str = "somebody") -> None:
        self.id = self.user_id = name
        self.channels: set[str] = set()
        self.socket, self.direct = self, NOWHERE
        self.heard: list[str] = []
        self.closed: list[str] = []

    def write(self, packet: Packet, *, ephemeral: bool = False) -> None:
        self.heard.append(packet.text)

    def finish(self, frame: bytes, written: int) -> None:
        raise AssertionError("nothing is sent directly here")

    def close(self, reason: str) -> None:
        self.closed.append(reason)


@dataclass
class Book:
    """Where the entries of all conversations are stored: a database that all nodes share."""

    entries: dict[str, list[Delivery]] = field(default_factory=dict)

    def write(self, channel: str, text: str) -> Delivery:
        """Store the next entry, ready to be published."""
        stream = self.entries.setdefault(channels.key(channel), [])
        stream.append(Delivery((channel,), Packet(text), len(stream) + 1))
        return stream[-1]

    async def entries_after(self, key: str, position: int, limit: int) -> Sequence[Delivery]:
        return self.entries.get(key, [])[position : position + limit]

    async def heads(self, keys: Sequence[str]) -> Mapping[str, int]:
        return {key: len(self.entries[key]) for key in keys if key in self.entries}

    def observe(self, key: str, position: int) -> None: ...


@dataclass
class BusNode:
    """One node."""

    name: str
    bus: RedisBus
    local: LocalFanout
    fanout: Fanout

    def listen(self, *names: str, head: int | None = None) -> Listener:
        listener = Listener(self.name)
        for name in names:
            self.local.join(listener, name, head)
        return listener

    async def hears(self) -> None:
        """Wait until it hears itself and everything it wants."""
        await eventually(lambda: self.bus.is_up, 15)
        await self.bus.settle()


@asynccontextmanager
async def bus_node(
    url: str, name: str, book: Book | None = None, key: BusKey = KEY
) -> AsyncIterator[BusNode]:
    """Start the bus of a node; it hears itself already."""
    local = LocalFanout()
    local.read_from("conversation", book or Book())
    bus = RedisBus(RedisUrl.parse(url), name, key, local)
    local.interest = bus
    await bus.start()
    try:
        node = BusNode(name, bus, local, Fanout(local, bus))
        await node.hears()
        yield node
    finally:
        await bus.stop()


def numbered(channel: str, number: int) -> Delivery:
    return Delivery((channel,), Packet(f'2["said",{number}]'))
