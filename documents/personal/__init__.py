"""What is keyed to a person: where it is, how they get a copy of it, and how it is erased."""

from beanie import Document

from documents.personal.deletions import Deletion

DOCUMENTS: list[type[Document]] = [Deletion]

__all__ = ["DOCUMENTS", "Deletion"]
