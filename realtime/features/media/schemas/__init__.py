"""The shapes of media."""

from realtime.features.media.schemas.media import (
    ArrivingOut,
    MediaFailed,
    MediaOut,
    MediaProgress,
    MediaReady,
    SignedOut,
    Variant,
    address_of,
)

__all__ = [
    "ArrivingOut",
    "MediaFailed",
    "MediaOut",
    "MediaProgress",
    "MediaReady",
    "SignedOut",
    "Variant",
    "address_of",
]
