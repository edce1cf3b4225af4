"""Making lists of suggestions and showing them."""

from realtime.features.suggestions.service.suggestions import SuggestionService

__all__ = ["SuggestionService"]
