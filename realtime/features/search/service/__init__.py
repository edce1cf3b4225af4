"""Looking for people and messages, and reading messages so that they are found."""

from realtime.features.search.service.indexing import Indexer
from realtime.features.search.service.messages import MessageFinder
from realtime.features.search.service.service import SearchService

__all__ = ["Indexer", "MessageFinder", "SearchService"]
