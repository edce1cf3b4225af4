"""Batches as they cross the bus: a tag, a line of JSON that says what they are, and the frames behind it.

`tag (16 bytes) · [version,"node",shard,number,heal,[row,…]] · newline · frame · frame · …`

The tag is a BLAKE2 hash of the rest, keyed with the secret of this Plaza (RFC 7693). Frames are those that
sockets are sent, so a node that hears them builds none. Nothing here trusts what it reads.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from realtime.fanout.bus.shards import SHARDS
from realtime.fanout.packets import Delivery

VERSION = 2
TAG = 16
MAX_MESSAGE = 4 * 1024 * 1024
"""More than any node sends: longer ones are not even hashed."""


class NotOurs(Exception):
    """A message that no node of this Plaza made; `why` is a word for the metrics."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Batch:
    """What one node says on one shard at a time. Its `number` is one more than that of the batch before.

    `heal` says that something before it got lost on the way.
    """

    node: str
    shard: int
    number: int
    heal: bool
    deliveries: Sequence[Delivery]


class Codec:
    """Writes and reads batches for the nodes that know the secret."""

    def __init__(self, node: str, secret: bytes) -> None:
        self._key = hashlib.blake2b(b"plaza bus" + secret, digest_size=32).digest()
        self._node = node
        self._own = orjson.dumps([VERSION, node])[:-1] + b","

    def seal(self, shard: int, number: int, heal: bool, deliveries: Sequence[Delivery]) -> bytes:
        """The bytes of a batch of this node."""
        rows = [delivery.to_bus() for delivery in deliveries]
        head = orjson.dumps([VERSION, self._node, shard, number, heal, rows])
        frames = [delivery.packet.frame for delivery in deliveries if delivery.packet is not None]
        body = b"\n".join((head, b"".join(frames)))
        return self._tag(body) + body

    def is_own(self, data: bytes) -> bool:
        """Whether this node claims to have said it; not worth a look, whoever did."""
        return data.startswith(self._own, TAG)

    def open(self, data: bytes, shard: int) -> Batch:
        """Check and read a batch heard on `shard`; raises `NotOurs`."""
        if len(data) > MAX_MESSAGE:
            raise NotOurs("too_large")
        body = data[TAG:]
        if not hmac.compare_digest(data[:TAG], self._tag(body)):
            raise NotOurs("forged")
        try:
            return _read(body, shard)
        except (ValueError, TypeError, LookupError) as trouble:
            raise NotOurs("malformed") from trouble

    def _tag(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, digest_size=TAG, key=self._key).digest()


def _read(body: bytes, shard: int) -> Batch:
    end = body.index(b"\n")
    version, node, said_on, number, heal, rows = orjson.loads(body[:end])
    fits = version == VERSION and said_on == shard and 0 <= shard < SHARDS and isinstance(node, str)
    if not (fits and type(number) is int and type(heal) is bool and type(rows) is list):
        raise ValueError("not a batch")
    deliveries: list[Delivery] = []
    place = end + 1
    for row in cast("list[Any]", rows):
        size = row[1]
        frame = None
        if size is not None:
            frame, place = body[place : place + size], place + size
        deliveries.append(Delivery.from_bus(row, frame))
    if place != len(body):
        raise ValueError("bytes that belong to nothing")
    return Batch(node, shard, number, heal, deliveries)
