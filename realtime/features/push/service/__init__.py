"""What push does: knowing devices, writing notes down, and sending them to who is not looking."""

from realtime.features.push.service.devices import DeviceService
from realtime.features.push.service.service import PushService

__all__ = ["DeviceService", "PushService"]
