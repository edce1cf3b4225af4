"""Search: people by words, and what was said in one's conversations."""

from realtime.features.search.service import Indexer, MessageFinder, SearchService
from realtime.features.search.store import MessageIndex

__all__ = ["Indexer", "MessageFinder", "MessageIndex", "SearchService"]
