"""The shapes of logged changes."""

from typing import Any

from pydantic import Field

from realtime.channels import Wire


class UpdateOut(Wire):
    """A logged change: the same `event` and payload as it was said live, where the payload carries `pos`."""

    pos: int
    event: str
    data: dict[str, Any]


class UpdatesPage(Wire):
    """Changes in order. `pos` is where the client is after them; `more` asks it to come again.

    `truncated` says that the gap is too old or too large: the snapshot beside it replaces what the client
    has.
    """

    pos: int
    entries: list[UpdateOut] = Field(default_factory=list[UpdateOut])
    more: bool = False
    truncated: bool = False
