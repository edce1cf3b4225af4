"""Media: uploads that cannot hurt, kept where they are safe, shown to those who may see them."""

from realtime.features.media.service import MediaService

__all__ = ["MediaService"]
