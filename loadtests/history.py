"""What happened, as plain data: what clients asked for and were told, what they hold, what the server shows.

Times are ticks of one counter: everything runs in one process, so ticks order all requests and answers.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


class Clock:
    """Ticks that order everything that happens in this process."""

    def __init__(self) -> None:
        self._ticks = itertools.count(1)

    def tick(self) -> int:
        return next(self._ticks)


@dataclass(slots=True)
class Attempt:
    """One try to send a message over `door`: a socket, or `rest`. What came of unanswered ones is unknown."""

    door: str
    sent: int
    answered: int | None = None
    seq: int = 0
    id: str = ""
    conversation: str = ""


@dataclass(slots=True)
class Send:
    """One message a person wrote, and every try to deliver it under its one client id."""

    sender: str
    conversation: str
    client_id: str
    text: str
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    refused: str = ""
    """Why the server refused it for good; nothing in these histories deserves that."""

    @property
    def answers(self) -> list[Attempt]:
        return [one for one in self.attempts if one.answered is not None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as somebody has it."""

    seq: int
    id: str
    client_id: str
    sender: str
    text: str

    @classmethod
    def of(cls, message: dict[str, Any]) -> "Entry":
        """From a message on the wire."""
        return cls(message["seq"], message["id"], message["clientId"], message["from"], message["text"])


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a person's log."""

    pos: int
    event: str
    data: dict[str, Any]


@dataclass(slots=True)
class Reading:
    """How far somebody marked a conversation read: `sure` was acknowledged, `tried` at most was asked for."""

    sure: int = 0
    tried: int = 0
    refused: str = ""
    """Why the server would not have it; nothing in these histories deserves that."""


@dataclass(slots=True)
class Place:
    """A row of somebody's conversation list."""

    seq: int
    read_seq: int
    unread: int


@dataclass(slots=True)
class Person:
    """What one client did and has: its sends, marks, messages by conversation, and its log."""

    id: str
    sends: list[Send] = field(default_factory=list[Send])
    readings: dict[str, Reading] = field(default_factory=dict[str, Reading])
    streams: dict[str, list[Entry]] = field(default_factory=dict[str, list[Entry]])
    log: list[Change] = field(default_factory=list[Change])


@dataclass(slots=True)
class View:
    """What one node shows: every conversation's history, and everybody's conversation list."""

    node: str
    messages: dict[str, list[Entry]] = field(default_factory=dict[str, list[Entry]])
    lists: dict[str, dict[str, Place]] = field(default_factory=dict[str, dict[str, Place]])


@dataclass(slots=True)
class History:
    """A whole run: who is in which conversation, what everyone did and has, what each node shows."""

    members: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    people: list[Person] = field(default_factory=list[Person])
    views: list[View] = field(default_factory=list[View])

    @property
    def sends(self) -> list[Send]:
        return [send for person in self.people for send in person.sends]

    def write(self, path: Path) -> None:
        """Keep it, to look into a violation."""
        path.write_bytes(orjson.dumps(self, option=orjson.OPT_INDENT_2))
