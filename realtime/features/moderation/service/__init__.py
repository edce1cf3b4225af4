"""What people and moderators can do about what should not be."""

from realtime.features.moderation.service.moderation import ModerationService

__all__ = ["ModerationService"]
