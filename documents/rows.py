"""The raw collection behind a document, for hot paths and atomic updates."""

from typing import Any, cast

from beanie import Document
from pymongo.asynchronous.collection import AsyncCollection

Raw = dict[str, Any]


def rows(kind: type[Document]) -> AsyncCollection[Raw]:
    """The collection of `kind`, typed: beanie does not say what is in it."""
    unnamed = kind.get_pymongo_collection()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("AsyncCollection[Raw]", unnamed)
