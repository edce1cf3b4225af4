"""What people are told, in which order it changed, and what they want to be told.

A change of notifications and its place on the person's board are one transaction. So versions number the
changes of one person without a gap, whichever nodes make them, and what is not told yet is never forgotten.
"""

from beanie import Document

from documents.notifications.boards import Board, Change
from documents.notifications.choices import NotificationChoices
from documents.notifications.lists import Mark, Shown, Window, shown
from documents.notifications.notifications import Notification, State

DOCUMENTS: list[type[Document]] = [Notification, Board, NotificationChoices]

__all__ = [
    "DOCUMENTS",
    "Board",
    "Change",
    "Mark",
    "Notification",
    "NotificationChoices",
    "Shown",
    "State",
    "Window",
    "shown",
]
