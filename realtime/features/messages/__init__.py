"""Messages: sending, reading, changing."""

from realtime.features.messages.service import MessageService
from realtime.features.messages.store import MessageArchive, ShownMedia

__all__ = ["MessageArchive", "MessageService", "ShownMedia"]
