"""Moderation: what people report, what moderators do about it, and how one appeals."""

from realtime.features.moderation.service import ModerationService
from realtime.features.moderation.store import Mutes

__all__ = ["ModerationService", "Mutes"]
