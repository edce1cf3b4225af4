"""What a conforming client keeps: each conversation and its own log, contiguous, however things arrive.

A live entry is applied only at last + 1; one that comes early waits beside, and tells that `sync` is needed.
No transport here: the asyncio client, the Locust users and the tests share it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from loadtests.history import Change, Entry

T = TypeVar("T")
Json = dict[str, Any]

MAX_EARLY = 200


@dataclass
class Track(Generic[T]):
    """One stream up to its last contiguous position. `base` is where it begins: 0 unless it was truncated."""

    applied: Callable[[T], None] = lambda _: None
    base: int = 0
    entries: list[T] = field(default_factory=list[T])
    early: dict[int, T] = field(default_factory=dict[int, T])
    jumps: int = 0
    repeats: int = 0

    @property
    def last(self) -> int:
        return self.base + len(self.entries)

    def hear(self, position: int, entry: T) -> bool:
        """Take an entry; False when something before it is missing."""
        if position <= self.last:
            self.repeats += 1
            return True
        if position > self.last + 1:
            self.jumps += 1
            if len(self.early) < MAX_EARLY:
                self.early[position] = entry
            return False
        self._apply(entry)
        while (waiting := self.early.pop(self.last + 1, None)) is not None:
            self._apply(waiting)
        return True

    def _apply(self, entry: T) -> None:
        self.entries.append(entry)
        self.applied(entry)

    def start_over(self, base: int) -> None:
        """Drop what is there: the server cannot or will not fill the gap."""
        self.base = base
        self.entries.clear()
        self.early.clear()


class ClientState:
    """All streams of one person on one device."""

    def __init__(self) -> None:
        self.streams: dict[str, Track[Entry]] = {}
        self.log: Track[Change] = Track(self._changed)
        self.truncated = 0
        self.gone: set[str] = set()

    @property
    def jumps(self) -> int:
        """How often something came before what belongs in front of it."""
        return sum(track.jumps for track in self.tracks)

    @property
    def tracks(self) -> "list[Track[Any]]":
        return [self.log, *self.streams.values()]

    def learn(self, conversation_id: str) -> bool:
        """Keep a conversation from its beginning; True when it is new."""
        if conversation_id in self.streams:
            return False
        self.streams[conversation_id] = Track()
        return True

    def _changed(self, change: Change) -> None:
        if change.event == "conversation_updated" and change.data["change"] == "created":
            self.learn(change.data["conversationId"])

    def hear(self, event: str, data: Json) -> bool:
        """Take what was said live; False when `sync` must fill a gap or fetch a new conversation."""
        if event == "new_message":
            is_new = self.learn(data["conversationId"])
            entry = Entry.of(data)
            return self.streams[data["conversationId"]].hear(entry.seq, entry) and not is_new
        if "pos" in data:
            known = len(self.streams)
            fits = self.log.hear(data["pos"], Change(data["pos"], event, data))
            return fits and len(self.streams) == known
        return True

    def positions(self) -> Json:
        """What `sync` is asked with."""
        return {"streams": {key: track.last for key, track in self.streams.items()}, "updates": self.log.last}

    def apply(self, answer: Json) -> bool:
        """Take the answer of `sync`; True when it has to be asked again."""
        known = len(self.streams)
        updates = answer["updates"]
        if updates["truncated"]:
            self.truncated += 1
            self.log.start_over(updates["pos"])
        for item in updates["entries"]:
            self.log.hear(item["pos"], Change(item["pos"], item["event"], item["data"]))
        more = [self._apply_page(key, page) for key, page in answer["streams"].items()]
        self.gone |= set(answer["gone"])
        return any(more) or updates["more"] or len(self.streams) > known

    def _apply_page(self, conversation_id: str, page: Json) -> bool:
        track = self.streams[conversation_id]
        messages = [Entry.of(message) for message in page["messages"]]
        if page["truncated"]:
            self.truncated += 1
            track.start_over(messages[0].seq - 1 if messages else page["seq"])
        for entry in messages:
            track.hear(entry.seq, entry)
        return page["more"] or track.last < page["head"]

    def has(self, heads: Mapping[str, int], pos: int) -> bool:
        """Whether everything up to these last seqs and this `pos` is here."""
        whole = all(key in self.streams and self.streams[key].last >= head for key, head in heads.items())
        return whole and self.log.last >= pos
