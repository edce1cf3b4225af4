"""What the shapes of accounts are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, ConfigDict, EmailStr, Field

from documents.accounts import Window
from realtime.channels import Wire
from realtime.features.accounts.schemas import handles, words

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A part of a list, how long the whole is, and the sort values of its last row if more follow."""

    items: Sequence[T]
    total: int
    behind: tuple[str, ...] | None


def _line(longest: int) -> AfterValidator:
    return AfterValidator(lambda text: words.line(text, longest))


def _something(text: str) -> str:
    if not words.is_visible(text):
        raise ValueError("is needed")
    return text


Email = Annotated[EmailStr, Field(max_length=254)]
Handle = Annotated[str, AfterValidator(handles.chosen)]
Name = Annotated[str, _line(80), AfterValidator(_something)]
Tag = Annotated[str, _line(40), AfterValidator(_something)]
Line = Annotated[str, _line(100)]
Paragraph = Annotated[str, AfterValidator(lambda text: words.paragraph(text, 500))]
Presented = Annotated[str, Field(min_length=1, max_length=254)]
"""A name somebody presents, to be looked up."""

Opaque = Annotated[str, Field(min_length=1, max_length=6144)]
"""A token somebody presents."""


class Snake(Wire):
    """A shape whose fields are named in snake_case on the wire."""

    model_config = ConfigDict(alias_generator=None)


class Facade(Snake):
    """A body of the meetup and gallery apps: what it does not know, it ignores."""

    model_config = ConfigDict(extra="ignore")


__all__ = [
    "Email",
    "Facade",
    "Handle",
    "Line",
    "Name",
    "Opaque",
    "Paragraph",
    "Presented",
    "Rows",
    "Snake",
    "Tag",
    "Window",
]
