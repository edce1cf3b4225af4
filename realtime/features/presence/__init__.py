"""Presence: who is online, for those who may know it."""

from realtime.features.presence.service import PresenceService
from realtime.features.presence.store import MemoryPresence, PresenceStore, RedisPresence

__all__ = ["MemoryPresence", "PresenceService", "PresenceStore", "RedisPresence"]
