"""The bus between nodes: Redis publish/subscribe, used as a hint and watched like one.

It may lose anything. So it tells when it did: a node that was deaf, or whose publishing failed, makes itself
or the others compare their streams with the database. A node hears its own canary; two missed beats mean it
is deaf. Messages are batched in order and authenticated with a keyed BLAKE2 hash (RFC 7693).
"""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import orjson
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from common import metrics
from realtime.fanout.packets import Delivery

log = structlog.get_logger(__name__)

MAX_WAITING = 10_000
MAX_BATCH_BYTES = 512 * 1024
MAX_BYTES = 1024 * 1024
BEAT = 1.0
DEAF_AFTER = 2.5
MAX_PAUSE = 2.0
LAST_WORDS = 1.0
STOP_SECONDS = 2.0
TAG = 16

Troubles = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class BusKey:
    """Which Plaza a node belongs to: nodes of one `space` and one `secret` understand each other."""

    space: str
    secret: bytes

    @property
    def channel(self) -> str:
        return f"{self.space}:bus"


class RedisBus:
    """One node's ear and mouth on the bus."""

    def __init__(
        self,
        redis: Redis,
        node: str,
        key: BusKey,
        deliver: Callable[[Delivery], None],
        heal: Callable[[], Awaitable[None]],
    ) -> None:
        self._redis, self._node, self._deliver, self._heal = redis, node, deliver, heal
        self._channel = key.channel
        self._key = hashlib.blake2b(b"plaza bus" + key.secret, digest_size=32).digest()
        self._waiting: deque[bytes] = deque()
        self._wake, self._drained = asyncio.Event(), asyncio.Event()
        self._drained.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_at: float | None = None
        self._owes_heal = self._wants_heal = self._is_stopped = False
        self._healing: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether this node has just heard its own canary."""
        if self._heard_at is None:
            return False
        return asyncio.get_running_loop().time() - self._heard_at < DEAF_AFTER

    async def start(self) -> None:
        """Begin to listen and to publish; a bus that is down now is tried again for ever."""
        for work in (self._listen(), self._publish(), self._beat()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def stop(self) -> None:
        """Publish what waits, within a second, then stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._drained.wait()
        self._is_stopped = True  # a cancellation can get lost in the client's `wait_for` on Python 3.11
        tasks = [task for task in (*self._tasks, self._healing) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    def send(self, delivery: Delivery) -> None:
        """Queue a delivery for the other nodes; what does not fit becomes a hint or is dropped."""
        data = orjson.dumps(delivery.to_bus())
        if len(data) > MAX_BYTES:
            metrics.bus_lost.labels("too_large").inc()
            if delivery.position is None:
                return
            hint = Delivery(delivery.channels, position=delivery.position)
            data = orjson.dumps(hint.to_bus())
        if len(self._waiting) >= MAX_WAITING:
            metrics.bus_lost.labels("full").inc()
            self._owes_heal = True
            return
        self._waiting.append(data)
        self._drained.clear()
        self._wake.set()

    # -- speaking

    async def _publish(self) -> None:
        pause = 0.05
        while not self._is_stopped:
            await self._wake.wait()
            batch = self._take()
            if not batch:
                self._wake.clear()
                self._drained.set()
                continue
            try:
                await self._say({"d": [orjson.Fragment(part) for part in batch]})
                metrics.bus_published.inc(len(batch))
                await self._settle_debt()
                pause = 0.05
            except Exception as trouble:
                metrics.bus_lost.labels("publish_failed").inc(len(batch))
                self._owes_heal = True
                log.warning("bus_publish_failed", error=type(trouble).__name__, lost=len(batch))
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE)

    async def _settle_debt(self) -> None:
        """Ask the others to compare their streams, when something of ours did not get through."""
        if not self._owes_heal:
            return
        self._owes_heal = False
        try:
            await self._say({"heal": True})
        except Exception:
            self._owes_heal = True
            raise

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._waiting and size < MAX_BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        return batch

    async def _say(self, message: dict[str, Any]) -> None:
        body = orjson.dumps({"n": self._node, **message})
        said = self._tag(body) + body
        await self._redis.publish(self._channel, said)  # pyright: ignore[reportUnknownMemberType]  (untyped **kwargs)

    def _tag(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, digest_size=TAG, key=self._key).digest()

    async def _beat(self) -> None:
        while not self._is_stopped:
            try:
                await self._say({"beat": True})
                await self._settle_debt()
            except Exception as trouble:
                log.info("bus_beat_failed", error=type(trouble).__name__)
            metrics.bus_up.set(self.is_up)
            await asyncio.sleep(BEAT)

    # -- hearing

    async def _listen(self) -> None:
        pause = 0.05
        while not self._is_stopped:
            pubsub = self._redis.pubsub()  # pyright: ignore[reportUnknownMemberType]  (untyped **kwargs)
            try:
                await pubsub.subscribe(self._channel)
                self._begin_heal()
                pause = 0.05
                await self._hear(pubsub)
                log.warning("bus_deaf")
            except Exception as trouble:
                log.warning("bus_listen_failed", error=type(trouble).__name__)
            finally:
                await _close(pubsub)
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE)

    async def _hear(self, pubsub: PubSub) -> None:
        """Handle messages until the canary stays away."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while loop.time() - self._heard_at < DEAF_AFTER:
            message = cast(
                "dict[str, Any] | None",
                await pubsub.get_message(ignore_subscribe_messages=True, timeout=BEAT),
            )
            if message is not None:
                self._take_in(message["data"])

    def _take_in(self, data: bytes) -> None:
        tag, body = data[:TAG], data[TAG:]
        if not hmac.compare_digest(tag, self._tag(body)):
            metrics.bus_lost.labels("forged").inc()
            return
        try:
            message = orjson.loads(body)
            if message["n"] == self._node:
                self._heard_at = asyncio.get_running_loop().time()
                return
            deliveries = [Delivery.from_bus(values) for values in message.get("d", ())]
        except (ValueError, KeyError, TypeError, AttributeError):
            metrics.bus_lost.labels("malformed").inc()
            return
        if message.get("heal"):
            self._begin_heal()
        for delivery in deliveries:
            try:
                self._deliver(delivery)
            except Exception:
                log.exception("bus_delivery_failed")
        metrics.bus_received.inc(len(deliveries))

    def _begin_heal(self) -> None:
        self._wants_heal = True
        if self._healing is None or self._healing.done():
            self._healing = asyncio.get_running_loop().create_task(self._heal_now())

    async def _heal_now(self) -> None:
        """Compare the streams; once more for whatever was lost while that was under way."""
        while self._wants_heal and not self._is_stopped:
            self._wants_heal = False
            try:
                await self._heal()
            except Exception as trouble:
                log.warning("heal_failed", error=type(trouble).__name__)
                self._wants_heal = True
                await asyncio.sleep(BEAT)


async def _close(pubsub: PubSub) -> None:
    try:
        await pubsub.aclose()
    except Troubles:
        log.info("bus_close_failed")
