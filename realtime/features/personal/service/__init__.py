"""Leaving, being erased, and taking a copy along."""

from realtime.features.personal.service.building import Builder
from realtime.features.personal.service.caretaker import Caretaker
from realtime.features.personal.service.deletions import DeletionService
from realtime.features.personal.service.erasing import Eraser
from realtime.features.personal.service.exports import Download, ExportService
from realtime.features.personal.service.news import LeavingNews

__all__ = ["Builder", "Caretaker", "DeletionService", "Download", "Eraser", "ExportService", "LeavingNews"]
