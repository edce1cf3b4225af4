"""Streams as MongoDB keeps them: entries with a gapless position under a unique index.

An ordered insert stores a prefix of what it is given, so a stream never has a gap, whatever fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from documents.rows import Raw

DUPLICATE = 11000


@dataclass(frozen=True, slots=True)
class Collision:
    """Entry `index` was refused: its position is taken, or its key is known. Those before it stand."""

    index: int
    taken: Literal["position", "key"]


async def append(collection: AsyncCollection[Raw], entries: Sequence[Raw], position: str) -> Collision | None:
    """Insert in order; `position` names the field that numbers the entries of a stream."""
    try:
        await collection.insert_many(entries, ordered=True)
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details or {}
        errors: Sequence[Raw] = details.get("writeErrors") or [{}]
        refused = errors[0]
        if refused.get("code") != DUPLICATE or details.get("writeConcernErrors"):
            raise
        by_position = position in refused.get("keyPattern", ())
        return Collision(int(refused["index"]), "position" if by_position else "key")
    return None


async def head(collection: AsyncCollection[Raw], stream: str, key: str, position: str) -> int:
    """The last position of the stream `key`; 0 when it has none."""
    found = await collection.find_one({stream: key}, {position: 1}, sort=[(position, -1)])
    return int(found[position]) if found else 0
