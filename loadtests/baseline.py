"""What the same mongod does without Plaza in between."""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient, WriteConcern

DOCUMENT: dict[str, Any] = {
    "sender": str(uuid.uuid4()),
    "to": str(uuid.uuid4()),
    "body_hash": uuid.uuid4().hex,
    "text": "." * 95,
    "media_url": None,
    "media_type": None,
    "reply_to": None,
    "reactions": {},
    "edited_at": None,
    "deleted_at": None,
}
"""A message as Plaza stores it, without what differs from one to the next."""


@dataclass(frozen=True)
class Plain:
    """Documents per second, and how long each call took."""

    rate: float
    latencies: list[float]


def plain_inserts(url: str, seconds: float, batch: int) -> Plain:
    """Ordered `insert_many`, majority and journal, one call after the other, under the same indexes."""
    latencies: list[float] = []
    concern = WriteConcern(w="majority", j=True)
    with MongoClient[dict[str, Any]](url) as client:
        plain = client["bench"].get_collection("messages", write_concern=concern)
        plain.create_indexes(
            [
                IndexModel([("conversation", ASCENDING), ("seq", DESCENDING)], unique=True),
                IndexModel([("sender", ASCENDING), ("client_id", ASCENDING)], unique=True),
            ]
        )
        stored, started = 0, time.perf_counter()
        talks = [str(uuid.uuid4()) for _ in range(batch)]
        while (begun := time.perf_counter()) < started + seconds:
            seq, at = stored // batch + 1, datetime.now(UTC)
            plain.insert_many([_document(talk, seq, at) for talk in talks])
            latencies.append(time.perf_counter() - begun)
            stored += batch
        elapsed = time.perf_counter() - started
        client.drop_database("bench")
    return Plain(stored / elapsed, latencies)


def _document(talk: str, seq: int, at: datetime) -> dict[str, Any]:
    own = {"_id": str(uuid.uuid4()), "conversation": talk, "seq": seq, "client_id": f"{talk}-{seq}"}
    return {**own, **DOCUMENT, "created_at": at}
