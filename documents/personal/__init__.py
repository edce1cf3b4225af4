"""What is keyed to a person: where it is, how they get a copy of it, and how it is erased."""

from beanie import Document

from documents.personal.bonds import Bond, bonds_of, told_of
from documents.personal.chats import groups_of, unblocked_directs_of
from documents.personal.deletions import Deletion
from documents.personal.exports import PART, Export, ExportPart
from documents.personal.holdings import Copy, Holding, Person
from documents.personal.registry import HOLDINGS
from documents.personal.traces import remove_traces

DOCUMENTS: list[type[Document]] = [Deletion, Export, ExportPart]

__all__ = [
    "DOCUMENTS",
    "HOLDINGS",
    "PART",
    "Bond",
    "Copy",
    "Deletion",
    "Export",
    "ExportPart",
    "Holding",
    "Person",
    "bonds_of",
    "groups_of",
    "remove_traces",
    "told_of",
    "unblocked_directs_of",
]
