"""A note as other features write it."""

from collections.abc import Mapping
from dataclasses import dataclass

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
