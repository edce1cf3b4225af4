"""Who comes first in a search: how well somebody fits the words, then how near they are, then the alphabet.

The classes, best first: the very handle; a handle that begins so; a name that begins so; every word begins
one of theirs; every word is a part of one of theirs. Within a class friends come before people with friends
in common, and these before strangers; among equals, handles and names that begin so go by the alphabet, and
everybody else by handle.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from common import words
from realtime.features.accounts.schemas import handles


class Fit(IntEnum):
    """How well somebody fits."""

    HANDLE = 0
    HANDLE_BEGINS = 1
    NAME_BEGINS = 2
    WORDS_BEGIN = 3
    PARTS = 4


class Nearness(IntEnum):
    FRIEND = 0
    FRIENDS_IN_COMMON = 1
    STRANGER = 2


class Rank(NamedTuple):
    """A place in the order; no two people have the same. `by` is what the alphabet goes by."""

    fit: Fit
    nearness: Nearness
    by: str
    key: str


class Found(Protocol):
    """A person as far as the order asks."""

    @property
    def handle_key(self) -> str: ...
    @property
    def search_handle(self) -> str: ...
    @property
    def search_name(self) -> str: ...
    @property
    def search_text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for."""

    words: tuple[str, ...]
    name: str
    handle: str
    handle_key: str

    @classmethod
    def of(cls, text: str) -> "Query":
        """The folded words of a text; an underscore parts words, as it does in handles."""
        found = tuple(dict.fromkeys(words.words_of(text.replace("_", " "))))
        typed = words.words_of(text.replace("_", " "))
        return cls(found, " ".join(typed), "".join(typed), handles.key(text.strip().removeprefix("@")))

    def fit_of(self, person: Found) -> Fit | None:
        """How well somebody fits; None when they do not."""
        text = person.search_text
        if not words.holds(text, self.words):
            return None
        if person.handle_key == self.handle_key:
            return Fit.HANDLE
        if person.search_handle.startswith(self.handle):
            return Fit.HANDLE_BEGINS
        if person.search_name.startswith(self.name):
            return Fit.NAME_BEGINS
        if all(words.begins(text, word) for word in self.words):
            return Fit.WORDS_BEGIN
        return Fit.PARTS

    def rank_of(self, person: Found, nearness: Nearness) -> Rank | None:
        """Their place in the order; None when they do not fit."""
        fit = self.fit_of(person)
        if fit is None:
            return None
        by = {Fit.HANDLE_BEGINS: person.search_handle, Fit.NAME_BEGINS: person.search_name}
        return Rank(fit, nearness, by.get(fit, ""), person.handle_key)
