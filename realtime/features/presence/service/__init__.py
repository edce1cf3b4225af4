"""What presence does: counting connections, answering who is online, telling friends."""

from realtime.features.presence.service.service import PresenceService

__all__ = ["PresenceService"]
