"""What is said of somebody where no index finds it: in other people's logs, and in moderators' evidence.

Entries of logs are emptied, and keep their places; in evidence a pseudonym takes the place of the id. Both
are read through once for everybody who is being erased at the time: as bytes, of which few are unpacked.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from beanie import Document
from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from common.clock import now
from documents.accounts import User
from documents.moderation import Report
from documents.personal.holdings import Person
from documents.rows import Raw, rows
from documents.updates import Update

AT_ONCE = 2000
MARGIN = timedelta(days=1)
"""How far the clock of who stored an entry may have been off."""


async def remove_traces(people: Sequence[Person], event: str) -> None:
    """Make entries of logs that name one of `people` an `event` without content; rename them in evidence."""
    await _empty_entries(people, event)
    await _rename_in_evidence(people)


async def _empty_entries(people: Sequence[Person], event: str) -> None:
    """As far back as the oldest of these accounts goes: before that, nobody's log knew of them."""
    emptied: Raw = {"$set": {"event": event, "data": {}}, "$unset": {"key": ""}}
    first = ObjectId.from_datetime(await _oldest_of(people) - MARGIN)
    async for hits in _naming(Update, {"_id": {"$gte": first}}, people):
        await rows(Update).update_many({"_id": {"$in": hits}}, emptied)


async def _rename_in_evidence(people: Sequence[Person]) -> None:
    names = {person.id: person.pseudonym for person in people}
    async for hits in _naming(Report, {}, people):
        async for raw in rows(Report).find({"_id": {"$in": hits}}):
            kept = {name: _renamed(raw[name], names) for name in ("target_id", "evidence")}
            await rows(Report).update_one({"_id": raw["_id"]}, {"$set": kept})


async def _naming(kind: type[Document], where: Raw, people: Sequence[Person]) -> AsyncIterator[list[Any]]:
    """The ids of documents that fit and hold the id of one of `people` anywhere, some at a time."""
    needle = re.compile(b"|".join(re.escape(person.id.encode()) for person in people))
    found = rows(kind).find_raw_batches(where).batch_size(AT_ONCE)
    async for batch in cast("AsyncIterator[bytes]", found):
        if needle.search(batch):
            yield [RawBSONDocument(one)["_id"] for one in _documents_in(batch) if needle.search(one)]


def _documents_in(batch: bytes) -> Iterator[bytes]:
    """One by one: each begins with how long it is."""
    start = 0
    while start < len(batch):
        end = start + int.from_bytes(batch[start : start + 4], "little")
        yield batch[start:end]
        start = end


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The same with other names, however deep they stand."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [_renamed(one, names) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _renamed(one, names) for name, one in cast("Raw", value).items()}
    return value


async def _oldest_of(people: Sequence[Person]) -> datetime:
    which = {"_id": {"$in": [person.id for person in people]}}
    made = await rows(User).find(which, {"created_at": 1}).sort("created_at", 1).limit(1).to_list()
    return made[0]["created_at"] if made else now()
