"""The shapes of media."""

from realtime.features.media.schemas.media import (
    MediaFailed,
    MediaOut,
    MediaProgress,
    MediaReady,
    SignedOut,
    Variant,
    address_of,
)

__all__ = ["MediaFailed", "MediaOut", "MediaProgress", "MediaReady", "SignedOut", "Variant", "address_of"]
