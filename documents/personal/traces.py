"""What other people's logs say of somebody who is gone: their entries are emptied, and keep their places.

An entry may hold ids anywhere, and no index finds them. So the logs are read through once for everybody who
is being erased at the time, as far back as the oldest of these accounts goes: as bytes, not unpacked.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from common.clock import now
from common.ids import Id
from documents.accounts import User
from documents.rows import Raw, rows
from documents.updates import Update

AT_ONCE = 2000
MARGIN = timedelta(days=1)
"""How far the clock of who stored an entry may have been off."""


async def empty_entries(people: Sequence[Id], since: datetime, event: str) -> None:
    """Make every entry stored `since` then that holds one of `people` an `event` without content."""
    entries = rows(Update)
    raw_entries = entries.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    needle = re.compile(b"|".join(re.escape(one.encode()) for one in people))
    emptied: Raw = {"$set": {"event": event, "data": {}}, "$unset": {"key": ""}}
    after = ObjectId.from_datetime(since - MARGIN)
    while True:
        page = await raw_entries.find({"_id": {"$gt": after}}).sort("_id", 1).limit(AT_ONCE).to_list()
        hits = [entry["_id"] for entry in page if needle.search(entry.raw)]
        if hits:
            await entries.update_many({"_id": {"$in": hits}}, emptied)
        if len(page) < AT_ONCE:
            return
        after = page[-1]["_id"]


async def oldest_of(people: Sequence[Id]) -> datetime:
    """When the first of these accounts was made: before that, nobody's log knew of them."""
    made = rows(User).find({"_id": {"$in": list(people)}}, {"created_at": 1}).sort("created_at", 1).limit(1)
    found = await made.to_list()
    return found[0]["created_at"] if found else now()
