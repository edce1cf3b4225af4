"""Media: uploads and their files, pictures that people show of themselves, uploads that are still to come."""

from beanie import Document

from documents.media.arriving import Arriving, Piece
from documents.media.mending import Mends, Pages
from documents.media.moves import Moves
from documents.media.pictures import ImageType, UserImage
from documents.media.uploads import VISIBLE, Media, MediaFile, State, StorageType

__all__ = [
    "VISIBLE",
    "Arriving",
    "ImageType",
    "Media",
    "MediaFile",
    "Mends",
    "Moves",
    "Pages",
    "Piece",
    "State",
    "StorageType",
    "UserImage",
]

DOCUMENTS: list[type[Document]] = [Media, UserImage, Arriving]
