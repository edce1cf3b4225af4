"""How much of a list one answer may carry."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


def fitting(items: Sequence[T], most: int) -> list[T]:
    """The first items that together are at most `most` bytes of JSON, and at least one.

    A client that gets more at once than it can read in time would be cut, and ask for the same again.
    """
    taken: list[T] = []
    left = most
    for item in items:
        left -= size_of(item)
        if left < 0 and taken:
            break
        taken.append(item)
    return taken


def size_of(item: BaseModel) -> int:
    """How many bytes an item is as JSON."""
    return len(item.model_dump_json(by_alias=True).encode())
