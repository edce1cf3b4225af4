"""What people are told: by whom, how, and whether they want it."""

from documents.notifications import Window
from realtime.features.notifications.service.missed import MissedMessages
from realtime.features.notifications.service.notifications import Listing, NotificationService

__all__ = ["Listing", "MissedMessages", "NotificationService", "Window"]
