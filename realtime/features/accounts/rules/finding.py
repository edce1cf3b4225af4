"""What somebody is found by: what everybody may see of them, as words and grams."""

from typing import Any, Protocol

from common import words

MOST_GRAMS = 800
INTEREST, UNIVERSITY = "#", "@"
"""What the grams of whole interests and universities begin with: by them people with the same are found."""


class Described(Protocol):
    """A person as far as they can be found."""

    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> str: ...
    @property
    def university(self) -> str: ...
    @property
    def interests(self) -> list[str]: ...


def by(user: Described, *, interests: bool = True, university: bool = True) -> dict[str, Any]:
    """The stored fields that find somebody; which of their interests and university everybody may see."""
    name, handle = words.words_of(user.name), words.words_of(user.handle.replace("_", " "))
    whole_handle = "".join(handle)
    shared = user.interests if interests else []
    tags = [tag_of(INTEREST, tag) for tag in shared]
    if university and user.university:
        tags.append(tag_of(UNIVERSITY, user.university))
    described = (word for tag in shared for word in words.words_of(tag))
    found = list(dict.fromkeys((*name, *handle, whole_handle, *described)))
    grams = dict.fromkeys((*filter(None, tags), *words.grams_of(found)))
    return {
        "search_handle": whole_handle,
        "search_name": " ".join(name),
        "search_text": " ".join(found),
        "search_grams": list(grams)[:MOST_GRAMS],
    }


def by_nothing() -> dict[str, Any]:
    """Those of somebody who is not found."""
    return {"search_handle": "", "search_name": "", "search_text": "", "search_grams": []}


def tag_of(kind: str, text: str) -> str:
    """The gram of a whole interest or university; empty for one without a word."""
    folded = " ".join(words.words_of(text))
    return f"{kind}{folded}" if folded else ""
