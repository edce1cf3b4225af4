"""What a client has, and what it gets."""

from typing import Annotated

from pydantic import Field

from common.ids import Id
from realtime.channels import Wire
from realtime.features.messages.schemas import ConversationEntry, MessageOut, Seq
from realtime.features.updates.schemas import UpdatesPage

MAX_STREAMS = 500


class SyncIn(Wire):
    """The last `seq` the client has of each conversation, and the last `pos` of its update log.

    Without `updates` only the current `pos` is told.
    """

    streams: Annotated[dict[Id, Seq], Field(max_length=MAX_STREAMS)] = Field(default_factory=dict[str, int])
    updates: Seq | None = None


class StreamPage(Wire):
    """Messages in order. `seq` is where the client is after them, `head` where the conversation is.

    `more` asks to come again. `truncated` says that the gap is too large or unknown: the messages are the
    newest ones, and everything older is to be read from the history.
    """

    seq: int
    head: int
    messages: list[MessageOut] = Field(default_factory=list[MessageOut])
    more: bool = False
    truncated: bool = False


class SyncOut(Wire):
    """What the client lacks. `gone` lists conversations that it may not read (any more).

    `conversations` stands beside `updates.truncated`: the newest part of one's list, as it is now.
    """

    streams: dict[Id, StreamPage]
    updates: UpdatesPage
    gone: list[Id] = Field(default_factory=list[str])
    conversations: list[ConversationEntry] | None = None
