"""The shapes of messages."""

import unicodedata
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field, StringConstraints

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.features.conversations.schemas import ClientId, ConversationOut
from realtime.policy import Verb

MAX_TEXT = 10_000
_EMOJI_PARTS = frozenset({"So", "Sk", "Sm", "Mn", "Me", "Cf", "Po"})
"""Unicode categories: symbols, skin tones, variation selectors, keycap marks, joiners and tags."""


def _clean(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


def _emoji(text: str) -> str:
    """Symbols, and what joins or colours them; keycaps begin with a digit, `#` or `*`."""
    shows = any(unicodedata.category(char) in {"So", "Sm", "Me", "Po"} for char in text)
    if not shows or text.isascii() or not all(_is_emoji_part(char) for char in text):
        raise ValueError("must be an emoji")
    return text


def _is_emoji_part(char: str) -> bool:
    if char.isascii():
        return char in "0123456789#*"
    return unicodedata.category(char) in _EMOJI_PARTS


def _address(url: str) -> str:
    if not url.startswith(("https://", "http://", "/api/media/")) or any(c <= " " for c in url):
        raise ValueError("must be an http(s) address or one of ours")
    return url


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_clean)]
Emoji = Annotated[str, StringConstraints(min_length=1, max_length=16), AfterValidator(_emoji)]
MediaUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_address)]
Seq = Annotated[int, Field(strict=True, ge=0, le=2**53)]


class Attached(Protocol):
    """An upload that a message shows."""

    @property
    def url(self) -> str: ...

    @property
    def family(self) -> str:
        """`image` or `video`."""
        ...


class Media(Protocol):
    """People's uploads."""

    async def attach(self, owner: Id, media_id: Id, ref: str) -> Attached:
        """Let `ref` show one's own upload; raises `MediaNotFound`."""
        ...

    async def detach(self, ref: str) -> None:
        """`ref` shows no upload any more."""
        ...


class MessageIn(Wire):
    """A message to a person (`to`) or a conversation. `clientId` is made once for it and its retries."""

    to: Id | None = None
    conversation_id: Id | None = None
    text: Text = ""
    media_url: MediaUrl | None = None
    media_id: Id | None = None
    reply_to: Id | None = None
    client_id: ClientId


class MessageOut(Wire):
    """A message. `read`: somebody else has read it. A deleted one keeps its place without content."""

    id: Id
    conversation_id: Id
    seq: int
    from_: Id = Field(alias="from")
    to: Id | None = None
    text: str
    media_url: str | None = None
    media_type: str | None = None
    reply_to: Id | None = None
    reactions: dict[str, list[Id]] = Field(default_factory=dict[str, list[str]])
    read: bool = False
    read_at: datetime | None = None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    client_id: str
    created_at: datetime
    rev: int = 0
    """Grows with each change. Of two versions of a message the one with the higher `rev` is true."""


class NewMessage(Publication, MessageOut, event="new_message", verb=Verb.READ_CONVERSATION):
    """A message was stored. `seq` is gapless in its conversation: a jump means that `sync` has more."""


class EditIn(Wire):
    """A new text. With `editedAt` (null: never edited) it is refused when someone edited meanwhile."""

    message_id: Id
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(_clean)]
    edited_at: datetime | None = None


class DeleteIn(Wire):
    message_id: Id


class ReactIn(Wire):
    """Add an emoji to a message, or with `on: false` take it back."""

    message_id: Id
    emoji: Emoji
    on: bool = True


class ReadIn(Wire):
    """Everything up to a message, or up to a seq of a conversation, is read."""

    message_id: Id | None = None
    conversation_id: Id | None = None
    seq: Seq | None = None


class MessageUpdated(Publication, event="message_updated", verb=Verb.READ_CONVERSATION, logged=True):
    """A message was edited."""

    message: MessageOut


class MessageDeleted(Publication, event="message_deleted", verb=Verb.READ_CONVERSATION, logged=True):
    """A message was deleted for everyone; its place in the order stays."""

    conversation_id: Id
    message_id: Id
    seq: int
    rev: int
    deleted_at: datetime


class MessageReaction(Publication, event="message_reaction", verb=Verb.READ_CONVERSATION, logged=True):
    """`userId` added (`on`) or took back an emoji.

    `reactions` are all that stand at `rev`, and null when they are more than 50: then apply the change.
    """

    conversation_id: Id
    message_id: Id
    seq: int
    rev: int
    user_id: Id
    emoji: str
    on: bool
    reactions: dict[str, list[Id]] | None


class ConversationEntry(ConversationOut):
    """A conversation in one's list."""

    last_message: MessageOut | None = None
