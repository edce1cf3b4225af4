"""Conversations: who talks with whom, in which role, and how far everyone has read."""

from realtime.features.conversations.service import ConversationService, Place

__all__ = ["ConversationService", "Place"]
