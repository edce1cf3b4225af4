"""Messages: sending, reading, changing."""

from realtime.features.messages.service import MessageService

__all__ = ["MessageService"]
