"""Search: people by words, and what was said in one's conversations."""

from realtime.features.search.service import SearchService

__all__ = ["SearchService"]
