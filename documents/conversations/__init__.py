"""Conversations, the places people have in them, and who left."""

from beanie import Document

from documents.conversations.conversations import Conversation, Head, Kind
from documents.conversations.departures import Departure
from documents.conversations.lists import Activity, Behind, ConversationList, Row, behind, top_readers_of
from documents.conversations.members import Mark, Member, Role

DOCUMENTS: list[type[Document]] = [Conversation, Member, Departure]

__all__ = [
    "DOCUMENTS",
    "Activity",
    "Behind",
    "Conversation",
    "ConversationList",
    "Departure",
    "Head",
    "Kind",
    "Mark",
    "Member",
    "Role",
    "Row",
    "behind",
    "top_readers_of",
]
