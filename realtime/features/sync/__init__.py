"""Sync: exactly what a client lacks, from any node, after any restart."""

from realtime.features.sync.service import SyncService

__all__ = ["SyncService"]
