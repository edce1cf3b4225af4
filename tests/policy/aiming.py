"""Aiming: a well-formed request with words for whom and what it is about, and what answers show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from realtime.policy import Verb
from tests.clients import Json, Reply, new_key
from tests.policy.cast import THINGS, Words

Shows = Callable[[Json, Words], bool]

HARMLESS, CHANGING, REMOVING, LAST = range(4)
"""When it is tried: what changes what two people are to each other, or takes away what others need, later."""


@dataclass(frozen=True)
class Aim:
    """A well-formed request, with words in braces for whom and what it is about."""

    path: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    verb: Verb | None = None
    """What decides about this aim, when it is not the door's own verb."""
    shows: Shows | None = None
    """For lists: whether an answer has the person in it. Who may not see them finds a list without."""
    surely: bool = True
    """Whether a list shows everybody it may show."""
    about: str = ""
    """What it is about, when the request does not say it."""
    fine: frozenset[int] = frozenset()
    """What an allowed request may be answered with, beside success and 409."""
    when: int = HARMLESS

    @property
    def is_aimed(self) -> bool:
        """Whether it is about another person or a thing of theirs."""
        return self.is_about(*THINGS)

    def is_about(self, *things: str) -> bool:
        said = repr((self.path, self.query, self.body, self.about))
        return any(f"{{{thing}}}" in said for thing in things)

    def at(self, words: Words) -> "Aim":
        """The same with words filled in."""
        known = {**words, "key": new_key(), "name": f"n{new_key()[:12]}".replace("-", "")}
        return replace(
            self, path=_fill(self.path, known), query=_fill(self.query, known), body=_fill(self.body, known)
        )


def _fill(template: Any, words: Words) -> Any:
    if isinstance(template, str):
        return template.format_map(words) if "{" in template else template
    if isinstance(template, Mapping):
        entries = cast("Mapping[str, Any]", template).items()
        return {_fill(name, words): _fill(value, words) for name, value in entries}
    if isinstance(template, list):
        return [_fill(one, words) for one in cast("list[Any]", template)]
    return template


def path(**path: str) -> Aim:
    return Aim(path=path)


def says(when: int = HARMLESS, /, **body: Json) -> Aim:
    return Aim(body=body, when=when)


def listed(*names: str) -> Shows:
    """Whether a list, at `names` of the answer, has an entry about the person."""

    def shows(data: Json, words: Words) -> bool:
        for name in names:
            data = data[name]
        return any(words["person"] in _ids(entry) for entry in data)

    return shows


def _ids(entry: Json) -> set[str | None]:
    user = entry.get("user") or {}
    return {entry.get("id"), entry.get("userId"), user.get("id")}


def streams(thing: str) -> Shows:
    return lambda data, words: words[thing] in data["streams"]


def said_in(thing: str) -> Shows:
    """Whether something that was said there is among the messages."""
    return lambda data, words: words[thing] in {message["conversationId"] for message in data}


def pictured(data: Json, words: Words) -> bool:
    """Whether pictures of the person are among those of many, by username."""
    return bool(data["images"].get(words["username"]))


def _without(value: Json, *names: str) -> Json:
    if not isinstance(value, dict):
        return value
    entries = cast("dict[str, Any]", value).items()
    return {name: _without(inner, *names) for name, inner in entries if name not in names}


def said(answer: Reply, words: Words) -> Json:
    """An answer without what differs from request to request, and with words for what it is about."""
    text = repr((answer.status, _without(answer.body, "request_id", "updates")))
    for thing in THINGS:
        text = text.replace(words[thing], f"{{{thing}}}")
    return text
