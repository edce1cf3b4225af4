"""What people do with media."""

from realtime.features.media.service.service import MediaService

__all__ = ["MediaService"]
