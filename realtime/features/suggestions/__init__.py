"""Suggestions: whom somebody may want to know, and why."""

from realtime.features.suggestions.service import SuggestionService
from realtime.features.suggestions.service.sources import (
    FriendsInCommon,
    SameUniversity,
    SharedInterests,
    Source,
)

__all__ = ["FriendsInCommon", "SameUniversity", "SharedInterests", "Source", "SuggestionService"]
