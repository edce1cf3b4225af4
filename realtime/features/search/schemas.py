"""What may be looked for, and in what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.ids import Id
from realtime.channels import Wire
from realtime.features.messages.schemas import MessageOut

Words = Annotated[str, Field(min_length=1, max_length=64)]
Mark = tuple[datetime, Id]
"""Where a list of messages goes on: the time and the id of the last one looked at."""


class SearchIn(Wire):
    """Words to look for, among people or in one's conversations, or in one of these."""

    q: Words
    type: Literal["users", "messages"] = "users"
    conversation_id: Id | None = None

    @model_validator(mode="after")
    def _people_are_in_no_conversation(self) -> "SearchIn":
        if self.conversation_id is not None and self.type != "messages":
            raise ValueError("conversationId goes with type=messages")
        return self


@dataclass(frozen=True, slots=True)
class MessageWindow:
    """The part of a list of messages that is asked for. `total`: what the first page said of all of them."""

    limit: int = 20
    skip: int = 0
    before: Mark | None = None
    total: int = 0
    conversation_id: Id | None = None


@dataclass(frozen=True, slots=True)
class FoundMessages:
    """A part of a list of messages, about how long the whole is, and where it goes on."""

    items: list[MessageOut]
    total: int
    behind: Mark | None
