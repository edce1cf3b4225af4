"""One interface for kept bytes, and its three backends."""

from media.storage.disk import DiskStorage
from media.storage.gridfs import GridStorage
from media.storage.port import Kept, Missing, NoRoom, Storage, StorageError, StorageType, Stored
from media.storage.s3 import S3Storage

__all__ = [
    "DiskStorage",
    "GridStorage",
    "Kept",
    "Missing",
    "NoRoom",
    "S3Storage",
    "Storage",
    "StorageError",
    "StorageType",
    "Stored",
]
