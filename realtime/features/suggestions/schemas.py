"""The shapes of suggestions and of the reasons for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field

from common.ids import Id
from realtime.channels import Wire


class Described(Protocol):
    """A person with what they share with everybody; what they do not is empty."""

    @property
    def id(self) -> Id: ...
    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> str: ...
    @property
    def avatar(self) -> str | None: ...
    @property
    def interests(self) -> Sequence[str]: ...
    @property
    def university(self) -> str: ...


class SuggestedUser(Wire):
    """A person in a list of suggestions."""

    id: Id
    name: str
    handle: str
    avatar: str | None = None


class MutualFriends(Wire):
    """Friends in common: `count` of them, or more."""

    type: Literal["mutual_friends"]
    text: str
    count: int


class SharedInterestsReason(Wire):
    """Interests that both have."""

    type: Literal["shared_interests"]
    text: str
    interests: list[str]


class SameUniversityReason(Wire):
    """The university that both are at."""

    type: Literal["same_university"]
    text: str
    university: str


Reason = Annotated[MutualFriends | SharedInterestsReason | SameUniversityReason, Field(discriminator="type")]


class SuggestionOut(Wire):
    """Somebody whom the caller may want to know, and why; the strongest reason first."""

    user: SuggestedUser
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class Hint:
    """What a source says about a person: how much it weighs, and what it has counted."""

    points: float
    count: int = 0


Mark = tuple[float, Id]
"""Where a list goes on: the points and the id of the last person shown."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for."""

    limit: int = 20
    skip: int = 0
    after: Mark | None = None


@dataclass(frozen=True, slots=True)
class Suggestions:
    """A part of a list, how long the whole is, and where it goes on."""

    items: list[SuggestionOut]
    total: int
    next: Mark | None
