"""Compares storages, documents, and the things that show uploads, and mends them when told to."""

from realtime.features.media.service.fsck.fsck import Fsck

__all__ = ["Fsck"]
