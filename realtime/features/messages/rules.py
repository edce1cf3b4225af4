"""What a message may be, and who may change it when."""

import hashlib
import mimetypes
from datetime import datetime, timedelta

import orjson

from common.errors import Forbidden, Invalid
from common.ids import Id
from realtime.features.messages.schemas import MessageIn

EDITABLE_FOR = timedelta(hours=24)
MAX_REACTION_KINDS = 20
_TYPES = ("image", "video", "audio")


class TooLateToEdit(Forbidden):
    code, text = "too_late_to_edit", "A message can be edited for 24 hours."


def media_ref(message_id: Id) -> str:
    """How an upload is told that a message shows it."""
    return f"message:{message_id}"


def require_content(body: MessageIn) -> None:
    """A message says something or shows something, and names exactly one receiver."""
    if (body.to is None) == (body.conversation_id is None):
        raise Invalid.field("to", "give either to or conversationId")
    if not body.text.strip() and body.media_url is None and body.media_id is None:
        raise Invalid.field("text", "a message needs text or media")
    if body.media_url is not None and body.media_id is not None:
        raise Invalid.field("mediaUrl", "give either mediaUrl or mediaId")


def body_hash(conversation_id: Id, body: MessageIn) -> str:
    """Tells two bodies under one client id apart (BLAKE2b, 128 bits)."""
    parts = [conversation_id, body.text, body.media_url, body.media_id, body.reply_to]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def media_type(url: str | None) -> str | None:
    """`image`, `video`, `audio` or `file`, by the address's ending."""
    if url is None:
        return None
    guessed = (mimetypes.guess_type(url.partition("?")[0])[0] or "").partition("/")[0]
    return guessed if guessed in _TYPES else "file"


def require_editable(created_at: datetime, at: datetime) -> None:
    if at - created_at > EDITABLE_FOR:
        raise TooLateToEdit
