"""Questions that are asked again and again are answered from indexes, also from those of a few documents."""

from collections.abc import Awaitable
from typing import Any

from beanie import Document

from common.clock import now
from common.ids import new_id
from documents.accounts import AdminAudit, User
from documents.accounts.audit import Which
from documents.database import Database
from documents.moderation.sanctions import MutedPeople
from documents.notifications import Board
from documents.rows import rows
from documents.updates import Update

SEQ, RESTRICTED = "IXSCAN { seq: -1 }", "IXSCAN { restricted_at: 1 }"


async def ways(question: Awaitable[Any], kind: type[Document]) -> set[str]:
    """How the database looked for the answer, as its profiler says."""
    database = rows(kind).database
    asked_at = now()
    await database.command("profile", 2)
    try:
        await question
    finally:
        await database.command("profile", 0)
    asked = {"ns": rows(kind).full_name, "ts": {"$gte": asked_at}, "planSummary": {"$exists": True}}
    found = await database["system.profile"].find(asked).to_list()
    return {one["planSummary"] for one in found}


async def test_what_is_partly_indexed_is_asked_for_so_that_the_index_is_used(database: Database) -> None:
    await AdminAudit.add("cli", "looked", new_id())
    await Update.append([{"user": new_id(), "pos": 1, "key": "k", "event": "e", "data": {}, "at": now()}])

    assert await ways(Board.untold(now(), 10), Board) == {"IXSCAN { since: 1 }"}
    assert await ways(MutedPeople.changed_since(None), User) == {RESTRICTED}
    assert await ways(MutedPeople.changed_since(now()), User) == {RESTRICTED}
    assert await ways(AdminAudit.page(Which(), 20, None, 0), AdminAudit) == {SEQ}
    assert await ways(AdminAudit.page(Which(), 20, 5, 0), AdminAudit) == {SEQ}
    assert await ways(AdminAudit.has(1, "no such hash"), AdminAudit) == {SEQ}
    assert await ways(Update.known([(new_id(), "k")]), Update) == {"IXSCAN { user: 1, key: 1 }"}
