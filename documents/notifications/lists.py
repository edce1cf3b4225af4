"""A person's notifications as lists show them: read at one moment, with the version of that moment."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from pymongo import DESCENDING
from pymongo.errors import OperationFailure

from common.ids import Id
from documents.notifications.boards import Board
from documents.notifications.notifications import Notification
from documents.rows import Raw, rows

SNAPSHOT_UNAVAILABLE = 246
"""What the server says for a moment after an index was made."""
_PAUSES = (0.02, 0.1, 0.5)

Mark = tuple[datetime, Id]
"""Where a list goes on: the time and the id of the last row shown."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for: behind a mark or after skipping some, and of which kind."""

    limit: int = 20
    before: Mark | None = None
    skip: int = 0
    unread: bool = False
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of a person's list, read at one moment: `version` is the last change that is in it."""

    items: list[Notification]
    total: int
    unread: int
    version: int


async def shown(user: Id, window: Window) -> Shown:
    """Newest first, at most one more than the window's limit."""
    for pause in _PAUSES:
        try:
            return await _shown(user, window)
        except OperationFailure as failure:
            if failure.code != SNAPSHOT_UNAVAILABLE:
                raise
        await asyncio.sleep(pause)
    return await _shown(user, window)


async def _shown(user: Id, window: Window) -> Shown:
    listed: Raw = {"user": user, "state": "shown"}
    if window.unread:
        listed["unread"] = True
    if window.type is not None:
        listed["type"] = window.type
    notifications = rows(Notification)
    async with notifications.database.client.start_session(snapshot=True) as session:
        found = notifications.find({"$and": [listed, *_behind(window.before)]}, session=session)
        found = found.sort([("at", DESCENDING), ("_id", DESCENDING)]).skip(window.skip)
        items = [Notification.model_validate(raw) async for raw in found.limit(window.limit + 1)]
        total = await notifications.count_documents(listed, session=session)
        unread = await Notification.unread_of(user, session)
        board = await rows(Board).find_one({"_id": user}, {"version": 1}, session=session)
    return Shown(items, total, unread, board["version"] if board else 0)


def _behind(mark: Mark | None) -> list[Raw]:
    if mark is None:
        return []
    at, last = mark
    return [{"$or": [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": last}}]}]
