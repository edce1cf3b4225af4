"""What was reported, what was decided, and what was taken from whom for how long."""

from beanie import Document

from documents.moderation.cases import Case, Caught, Claim, Closing, Queue
from documents.moderation.reports import Report, ReportCount, Taken
from documents.moderation.sanctions import Action, MutedPeople, Sanction, State

DOCUMENTS: list[type[Document]] = [Case, Report, ReportCount, Sanction]

__all__ = [
    "DOCUMENTS",
    "Action",
    "Case",
    "Caught",
    "Claim",
    "Closing",
    "MutedPeople",
    "Queue",
    "Report",
    "ReportCount",
    "Sanction",
    "State",
    "Taken",
]
