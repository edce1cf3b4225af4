"""Notifications: what people are told, on all their devices, in one order."""

from realtime.features.notifications.service import MissedMessages, NotificationService

__all__ = ["MissedMessages", "NotificationService"]
