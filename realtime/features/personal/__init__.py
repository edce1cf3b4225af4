"""What is keyed to a person: a copy of it for them, and its end when they leave."""

from realtime.features.personal.service import (
    Builder,
    Caretaker,
    DeletionService,
    Download,
    Eraser,
    ExportService,
    LeavingNews,
)

__all__ = ["Builder", "Caretaker", "DeletionService", "Download", "Eraser", "ExportService", "LeavingNews"]
