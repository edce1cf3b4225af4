"""Leaving, being erased, and taking a copy along."""

from realtime.features.personal.service.deletions import DeletionService
from realtime.features.personal.service.exports import Download, ExportService
from realtime.features.personal.service.service import PersonalService, Surroundings

__all__ = ["DeletionService", "Download", "ExportService", "PersonalService", "Surroundings"]
