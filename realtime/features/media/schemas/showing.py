"""What media need of the things that show uploads, and what a check of all of them finds."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.ids import Id

Showing = tuple[str, Id, str]
"""A ref, the owner of the thing, and the address of what it shows."""


class Things(Protocol):
    """Things of some kinds that show uploads: messages, profiles, pictures."""

    @property
    def kinds(self) -> Collection[str]:
        """What their refs begin with."""
        ...

    async def standing(self, refs: Sequence[str]) -> Sequence[Showing]:
        """Those of these refs that show something."""
        ...

    def walk(self) -> AsyncIterator[Sequence[Showing]]:
        """All of them, a part at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `mended`: not any more."""

    kind: str
    about: str
    detail: str = ""
    mended: bool = False


@dataclass(slots=True)
class Usage:
    """What a storage keeps."""

    files: int = 0
    size: int = 0


@dataclass(slots=True)
class Census:
    """What was looked at, and how much there was of it."""

    uploads: dict[str, int] = field(default_factory=dict[str, int])
    """By state."""
    told: dict[str, Usage] = field(default_factory=dict[str, Usage])
    """What documents say that each storage keeps."""
    kept: dict[str, Usage] = field(default_factory=dict[str, Usage])
    """What each storage keeps."""
    findings: dict[str, int] = field(default_factory=dict[str, int])
    mended: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move has done."""

    files: int
    size: int
    left: int
    """Uploads that could not be moved now; a later run goes on with them."""
