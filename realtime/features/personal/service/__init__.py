"""Leaving, being erased, and taking a copy along."""

from realtime.features.personal.service.deletions import DeletionService

__all__ = ["DeletionService"]
