"""Shards: the channels of the bus. Every channel of Plaza belongs to one, and a node hears those it needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

SHARDS = 64
"""The same on all nodes, for ever: nodes that count differently do not meet."""
LINGER = 30.0
"""A shard without listeners is heard a while longer: people come back, and subscribing anew costs a look."""


def shard_of(channel: str) -> int:
    """Where a channel is spoken; the same answer on every node and version of Python."""
    return crc32(channel.encode()) % SHARDS


@dataclass(frozen=True, slots=True)
class Names:
    """What the bus of one Plaza (`space`) is called in Redis. What stands in braces decides the slot."""

    space: str
    by_name: Mapping[bytes, int] = field(init=False)

    def __post_init__(self) -> None:
        names = {self.shard(shard): shard for shard in range(SHARDS)}
        object.__setattr__(self, "by_name", names)

    def shard(self, shard: int) -> bytes:
        return f"{{{self.space}:bus:{shard}}}".encode()

    def ear(self, shard: int, node: str) -> bytes:
        """The channel on which a node hears itself, on the server where `shard` lives."""
        return self.shard(shard) + b":" + node.encode()


class Interest:
    """How many channels of each shard have listeners on this node."""

    def __init__(self) -> None:
        self._counts = [0] * SHARDS
        self._idle: dict[int, float] = {}
        self._wanted: set[int] = set()

    @property
    def wanted(self) -> frozenset[int]:
        """The shards to hear: those with listeners, and those that had some a moment ago."""
        return frozenset(self._wanted)

    def add(self, channel: str) -> int | None:
        """A channel has a first listener; the shard, if it was not wanted so far."""
        shard = shard_of(channel)
        self._counts[shard] += 1
        self._idle.pop(shard, None)
        if shard in self._wanted:
            return None
        self._wanted.add(shard)
        return shard

    def remove(self, channel: str, now: float) -> None:
        """A channel has lost its last listener."""
        shard = shard_of(channel)
        self._counts[shard] -= 1
        if not self._counts[shard]:
            self._idle[shard] = now

    def expire(self, now: float) -> list[int]:
        """The shards that nobody has needed for a while; they are not wanted any more."""
        gone = [shard for shard, since in self._idle.items() if now - since >= LINGER]
        for shard in gone:
            del self._idle[shard]
            self._wanted.discard(shard)
        return gone
