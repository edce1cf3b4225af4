"""Identifiers: UUID strings, checked at the edge by their type."""

import re
import uuid
from typing import Annotated

from pydantic import StringConstraints

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_UUID = re.compile(UUID_PATTERN)

type_checked = StringConstraints(pattern=UUID_PATTERN)
Id = Annotated[str, type_checked]
"""A lower-case UUID in its canonical 36 characters."""


def new_id() -> Id:
    """A fresh random id."""
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Whether `text` is an id in canonical form."""
    return _UUID.fullmatch(text) is not None


def derived_id(kind: str, *parts: str) -> Id:
    """The same id for the same parts, on every node (UUID version 5, RFC 9562)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ":".join(("plaza", kind, *parts))))
