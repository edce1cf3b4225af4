"""What waits to be published: in order per shard, bounded, and honest about what it had to leave out."""

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace

from common import metrics
from realtime.fanout.bus.shards import SHARDS, shard_of
from realtime.fanout.packets import Delivery

MAX_FRAME = 1024 * 1024
"""A longer packet does not travel; if it is stored, the others are told where to read it."""
MAX_CHANNELS = 2000
"""Channels of one delivery; more of them travel as several."""
MAX_BATCH, MAX_BATCH_BYTES = 4096, 512 * 1024
MAX_WAITING, MAX_WAITING_BYTES = 20_000, 32 * 1024 * 1024
ROW = 64
"""What a delivery takes beside its frame, about."""


@dataclass(slots=True)
class Parcel:
    """What is said on one shard at a time."""

    shard: int
    number: int
    heal: bool
    deliveries: list[Delivery]


@dataclass(slots=True)
class _Queue:
    deliveries: deque[Delivery] = field(default_factory=deque[Delivery])
    size: int = 0


class Outbox:
    """Queues of all shards, their numbers, and which of them owe the others a word about something lost."""

    def __init__(self) -> None:
        self._queues: dict[int, _Queue] = {}
        self._numbers = [0] * SHARDS
        self._count = self._bytes = 0
        self._owed: set[int] = set()

    def __len__(self) -> int:
        return self._count

    def waits(self, shards: Set[int]) -> bool:
        """Whether something waits for one of these shards."""
        return not (self._queues.keys().isdisjoint(shards) and self._owed.isdisjoint(shards))

    def put(self, delivery: Delivery) -> tuple[int, ...]:
        """Queue a delivery; the shards it goes to."""
        if delivery.packet is not None and len(delivery.packet.frame) > MAX_FRAME:
            metrics.bus_lost.labels("too_large").inc()
            if delivery.position is None:
                return ()
            delivery = Delivery(delivery.channels, position=delivery.position)
        names = delivery.channels
        if len(names) == 1:
            return (self._put(shard_of(names[0]), delivery),)
        shards: dict[int, list[str]] = {}
        for name in names:
            shards.setdefault(shard_of(name), []).append(name)
        for shard, own in shards.items():
            for start in range(0, len(own), MAX_CHANNELS):
                self._put(shard, replace(delivery, channels=tuple(own[start : start + MAX_CHANNELS])))
        return tuple(shards)

    def _put(self, shard: int, delivery: Delivery) -> int:
        size = _size(delivery)
        if self._count >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            metrics.bus_lost.labels("full").inc()
            self._owed.add(shard)
            return shard
        queue = self._queues.get(shard)
        if queue is None:
            queue = self._queues[shard] = _Queue()
        queue.deliveries.append(delivery)
        queue.size += size
        self._count += 1
        self._bytes += size
        return shard

    def take(self, shards: Set[int], room: int) -> list[Parcel]:
        """Up to about `room` bytes that wait for these shards, and the words owed to them."""
        parcels: list[Parcel] = []
        for shard in [*(s for s in self._queues if s in shards), *(self._owed & shards)]:
            queue = self._queues.get(shard)
            if queue is None and shard not in self._owed:
                continue  # said a moment ago, together with what waited
            if room <= 0:
                break
            before = self._bytes
            deliveries = self._cut(shard, queue) if queue is not None else []
            room -= before - self._bytes + ROW
            self._numbers[shard] += 1
            parcels.append(Parcel(shard, self._numbers[shard], shard in self._owed, deliveries))
            self._owed.discard(shard)
        return parcels

    def _cut(self, shard: int, queue: _Queue) -> list[Delivery]:
        if len(queue.deliveries) <= MAX_BATCH and queue.size <= MAX_BATCH_BYTES:
            del self._queues[shard]
            self._count -= len(queue.deliveries)
            self._bytes -= queue.size
            return list(queue.deliveries)
        taken: list[Delivery] = []
        size = 0
        while queue.deliveries and len(taken) < MAX_BATCH and size < MAX_BATCH_BYTES:
            taken.append(queue.deliveries.popleft())
            size += _size(taken[-1])
        queue.size -= size
        self._count -= len(taken)
        self._bytes -= size
        if not queue.deliveries:
            del self._queues[shard]
        return taken

    def owe(self, shards: Iterable[int]) -> None:
        """Something said on these shards may be lost: the next word on them says so."""
        self._owed.update(shards)

    def drop(self, shards: Set[int]) -> int:
        """Forget what waits for shards that cannot be reached; how many deliveries that were."""
        dropped = 0
        for shard in [shard for shard in self._queues if shard in shards]:
            queue = self._queues.pop(shard)
            dropped += len(queue.deliveries)
            self._bytes -= queue.size
            self._owed.add(shard)
        self._count -= dropped
        return dropped


def _size(delivery: Delivery) -> int:
    frame = 0 if delivery.packet is None else len(delivery.packet.frame)
    names = delivery.channels
    return frame + ROW + (0 if len(names) == 1 else sum(map(len, names)))
