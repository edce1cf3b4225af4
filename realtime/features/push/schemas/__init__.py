"""The shapes of push: notes, devices, and the port behind which providers are."""

from realtime.features.push.schemas.devices import (
    AppStateIn,
    AppStateOut,
    DeviceIn,
    DeviceOut,
    Platform,
    Subscription,
    WebKeyOut,
)
from realtime.features.push.schemas.notes import PushNote
from realtime.features.push.schemas.port import (
    Alert,
    Down,
    Focus,
    Gone,
    Later,
    Logins,
    Outcome,
    Parcel,
    Providers,
    Push,
    Refused,
    Removal,
    Sent,
    Target,
)

__all__ = [
    "Alert",
    "AppStateIn",
    "AppStateOut",
    "DeviceIn",
    "DeviceOut",
    "Down",
    "Focus",
    "Gone",
    "Later",
    "Logins",
    "Outcome",
    "Parcel",
    "Platform",
    "Providers",
    "Push",
    "PushNote",
    "Refused",
    "Removal",
    "Sent",
    "Subscription",
    "Target",
    "WebKeyOut",
]
