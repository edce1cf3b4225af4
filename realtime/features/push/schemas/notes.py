"""A note as other features write it, and what they ask of push."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.ids import Id


@dataclass(frozen=True, slots=True)
class PushNote:
    """What a person is to be told on their devices, in place of an older note with the same key.

    The very same note again, with all its data, is a retry: nobody is told twice.
    """

    user_id: Id
    notification_id: Id
    type: str
    key: str
    title: str
    body: str
    data: Mapping[str, str]
    badge: int


class Pushes(Protocol):
    """What other features ask of push; `PushService` does it."""

    async def put(self, note: PushNote) -> None:
        """Have the note sent, later and in the background; once this returns it survives a crash."""
        ...

    async def dismiss(self, user_id: Id, keys: Sequence[str]) -> None:
        """Take back the notes with these keys: those that wait, and those that devices show."""
        ...
