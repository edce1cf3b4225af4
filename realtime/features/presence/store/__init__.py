"""Where it is known who is connected: one process knows by itself, several ask Redis."""

from realtime.features.presence.store.memory import MemoryPresence
from realtime.features.presence.store.port import Left, Listener, PresenceStore
from realtime.features.presence.store.redis import RedisPresence

__all__ = ["Left", "Listener", "MemoryPresence", "PresenceStore", "RedisPresence"]
