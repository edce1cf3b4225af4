"""What becomes of a note before it is stored, and how long a failure makes it wait."""

import hashlib
import json
import random
from base64 import urlsafe_b64encode
from bisect import bisect_right

from realtime.features.push.schemas.notes import PushNote
from realtime.features.push.schemas.port import MAX_PAYLOAD

MAX_TITLE = 200
MAX_PAUSE = 3600.0
_TAG_BYTES = 24


class NoteTooLarge(ValueError):
    """A note whose data alone are more than a push can carry: a bug of whoever wrote it."""


def tag(key: str) -> str:
    """A key as every provider takes it: 32 characters of base64url."""
    return urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:_TAG_BYTES]).decode()


def packed(note: PushNote) -> str:
    """The note as it is stored, its text shortened to what a push can carry; raises `NoteTooLarge`."""
    title, body = _clean(note.title)[:MAX_TITLE], _clean(note.body[:MAX_PAYLOAD])
    whole = _json(note, title, body)
    if len(body) == len(note.body) and len(whole.encode()) <= MAX_PAYLOAD:
        return whole
    room = bisect_right(range(len(body)), MAX_PAYLOAD, key=lambda kept: _size(note, title, body[:kept]))
    if not room:
        raise NoteTooLarge(note.type)
    return _json(note, title, body[: room - 1] + "…")


def pause(attempt: int, base: float) -> float:
    """Seconds to wait after so many attempts: up to three times as long each time, with full jitter."""
    return random.uniform(0, min(MAX_PAUSE, base * 3 ** (attempt - 1)))  # noqa: S311  (jitter)


def _clean(text: str) -> str:
    """Without what no phone can show; as long as it was."""
    return "".join(" " if char < " " or "\ud800" <= char <= "\udfff" else char for char in text)


def _size(note: PushNote, title: str, body: str) -> int:
    return len(_json(note, title, body + "…").encode())


def _json(note: PushNote, title: str, body: str) -> str:
    content = {
        "notification_id": note.notification_id,
        "type": note.type,
        "title": title,
        "body": body,
        "data": dict(sorted(note.data.items())),
        "badge": note.badge,
    }
    return json.dumps(content, ensure_ascii=False)
