"""What the other nodes say: checked, in order, once; and the word that something is missing."""

import asyncio
from collections.abc import Callable

import structlog

from common import metrics
from realtime.fanout.bus.codec import Batch, Codec, NotOurs
from realtime.fanout.bus.healing import Healing
from realtime.fanout.bus.shards import SHARDS
from realtime.fanout.packets import Delivery

log = structlog.get_logger(__name__)

MAX_NODES = 1000
"""Nodes whose numbers are remembered per shard, before all are forgotten."""
QUIET = 10.0
"""Seconds between two words about messages that are not ours."""


class Inbox:
    """Hands deliveries on. By their numbers it knows what came twice, and what did not come."""

    def __init__(self, codec: Codec, deliver: Callable[[Delivery], None], healing: Healing) -> None:
        self._codec, self._deliver, self._healing = codec, deliver, healing
        self._numbers: list[dict[str, int]] = [{} for _ in range(SHARDS)]
        self._quiet_until = 0.0

    def forget(self, shard: int) -> None:
        """The shard was not heard for a while: numbers begin anew."""
        self._numbers[shard].clear()

    def take(self, shard: int, data: bytes) -> None:
        """A message came on a shard, whoever sent it."""
        if self._codec.is_own(data):
            return
        try:
            batch = self._codec.open(data, shard)
        except NotOurs as trouble:
            self._refuse(trouble.why)
            return
        if self._is_next(batch):
            self._hand_on(batch)

    def _is_next(self, batch: Batch) -> bool:
        """Whether the batch is news; a number left out means that something got lost."""
        numbers = self._numbers[batch.shard]
        last = numbers.get(batch.node)
        if last is not None and batch.number <= last:
            metrics.bus_lost.labels("repeated").inc()
            return False
        if last is None and len(numbers) >= MAX_NODES:
            numbers.clear()
        numbers[batch.node] = batch.number
        if batch.heal or (last is not None and batch.number > last + 1):
            self._healing.shards((batch.shard,))
        return True

    def _hand_on(self, batch: Batch) -> None:
        joined: list[str] = []
        for delivery in batch.deliveries:
            try:
                self._deliver(delivery)
            except Exception:
                log.exception("bus_delivery_failed")
            if delivery.join is not None:
                joined.append(delivery.join[0])
        metrics.bus_received.inc(len(batch.deliveries))
        if joined:
            # What was said there since may have come before its listeners did.
            self._healing.channels(joined)

    def _refuse(self, why: str) -> None:
        metrics.bus_lost.labels(why).inc()
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            log.warning("bus_message_refused", why=why)
