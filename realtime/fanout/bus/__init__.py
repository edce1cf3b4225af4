"""The bus between nodes: Redis publish/subscribe, used as a hint and watched like one."""

from realtime.fanout.bus.bus import BusKey, RedisBus

__all__ = ["BusKey", "RedisBus"]
