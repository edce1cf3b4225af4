"""Push: notes that reach a person's phones and browsers while nobody looks at Plaza there."""

from realtime.features.push.schemas import Providers, PushNote
from realtime.features.push.service import PushService

__all__ = ["Providers", "PushNote", "PushService"]
