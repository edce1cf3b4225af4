"""The update logs as streams: how drafts become stored entries, and entries become deliveries again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.clock import now
from common.ids import Id
from documents.streams import Collision
from documents.updates import Update
from realtime import channels
from realtime.fanout import Delivery, Fanout
from realtime.fanout.packets import stored_packet
from realtime.streams import Draft


@dataclass(slots=True)
class Change:
    """What is to be logged for a person."""

    event: str
    data: dict[str, Any]
    key: str | None
    join: tuple[str, int] | None
    leave: str | None
    at: datetime


class UpdateLog:
    """The collection of update logs, for the stream writer."""

    name = "updates"

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    async def head(self, stream: Id) -> int:
        return await Update.head(stream)

    async def append(self, drafts: Sequence[Draft]) -> Collision | None:
        return await Update.append([_entry(draft) for draft in drafts])

    async def known(self, drafts: Sequence[Draft]) -> set[str]:
        pairs = [(draft.stream, draft.entry.key) for draft in drafts if draft.entry.key is not None]
        return {key_of(*pair) for pair in await Update.known(pairs)} if pairs else set()

    def hint(self, stream: Id, position: int) -> None:
        self._fanout.hint(channels.user(stream), position)


def key_of(user: Id, key: str) -> str:
    """A key as the stream writer knows it, unique among all logs."""
    return f"{user}:{key}"


def _entry(draft: Draft) -> dict[str, Any]:
    change: Change = draft.entry
    entry: dict[str, Any] = {
        "user": draft.stream,
        "pos": draft.position,
        "event": change.event,
        "data": change.data,
        "at": change.at,
        "join": change.join,
        "leave": change.leave,
    }
    if change.key is not None:
        entry["key"] = change.key
    return entry


def delivery(user: Id, pos: int, change: Change | Update) -> Delivery:
    """An entry as it is said to the connections of its person."""
    return Delivery(
        (channels.user(user),),
        stored_packet(change.event, change.data, pos),
        pos,
        join=change.join,
        leave=change.leave,
    )


def change_of(event: str, data: dict[str, Any], key: str | None) -> Change:
    return Change(event, data, key, None, None, now())
