"""What is keyed to a person: a copy of it for them, and its end when they leave."""

from realtime.features.personal.service import (
    DeletionService,
    Download,
    ExportService,
    PersonalService,
    Surroundings,
)

__all__ = ["DeletionService", "Download", "ExportService", "PersonalService", "Surroundings"]
