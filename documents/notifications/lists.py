"""A person's notifications as lists show them: read at one moment, with the version of that moment."""

from dataclasses import dataclass
from datetime import datetime

from pymongo import DESCENDING

from common.ids import Id
from documents.notifications.boards import Board
from documents.notifications.notifications import Notification, Session
from documents.rows import Raw, rows

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


async def shown(user: Id, window: Window, session: Session) -> Shown:
    """Newest first, at most one more than the window's limit; in a transaction, so all at one moment.

    A snapshot session would do with fewer questions, but may be behind what was committed just now.
    """
    listed: Raw = {"user": user, "state": "shown"}
    if window.unread:
        listed["unread"] = True
    if window.type is not None:
        listed["type"] = window.type
    notifications = rows(Notification)
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
