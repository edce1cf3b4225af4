"""Walking back in time through the messages that may hold what is looked for, in many conversations at once.

Conversations are looked into by the hundred, the latest active ones first: the others only once everything
newer has been seen than what was last said in them.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from common.ids import Id
from documents.search import Candidate, Mark, MessageWords

TOGETHER = 100
"""Conversations that one query looks into."""
FIRST, AT_ONCE, CANDIDATES = 25, 100, 2000
"""Entries of the index read at first, later at once, and in all."""
BEHIND = timedelta(seconds=2)
"""When a conversation was last active is written a moment after a message."""


class Where(Protocol):
    """A conversation of somebody's."""

    @property
    def conversation(self) -> Id: ...
    @property
    def last_at(self) -> datetime: ...
    @property
    def other(self) -> Id | None:
        """The other person of a direct one."""
        ...


class _Stream:
    """The candidates in some conversations, newest first."""

    def __init__(self, places: Sequence[Where], grams: Sequence[str], before: Mark | None) -> None:
        self._conversations = [place.conversation for place in places]
        self._grams, self._before = grams, before
        self._read: deque[Candidate] = deque()
        self._most = FIRST
        self._is_over = False

    async def head(self) -> Candidate | None:
        if not self._read and not self._is_over:
            found = await MessageWords.candidates(self._conversations, self._grams, self._before, self._most)
            self._read.extend(found)
            self._is_over, self._most = len(found) < self._most, AT_ONCE
            self._before = _mark(found[-1]) if found else None
        return self._read[0] if self._read else None

    def pop(self) -> Candidate:
        return self._read.popleft()


class MessageWalk:
    """Candidates behind a mark. `stopped_at`: where it gave up, having read as much as it may."""

    def __init__(self, places: Sequence[Where], grams: Sequence[str], before: Mark | None) -> None:
        self._unopened = deque(places[start : start + TOGETHER] for start in range(0, len(places), TOGETHER))
        self._grams, self._start, self._last = grams, before, before
        self._streams: list[_Stream] = []
        self._left = CANDIDATES
        self.stopped_at: Mark | None = None

    async def some(self, most: int) -> list[Candidate]:
        """The next ones that have all grams; none when it is over."""
        found: list[Candidate] = []
        while len(found) < most and (stream := await self._newest()) is not None:
            if self._left == 0:
                self.stopped_at = self._last
                break
            self._left -= 1
            candidate = stream.pop()
            self._last = _mark(candidate)
            if candidate.fits:
                found.append(candidate)
        return found

    async def _newest(self) -> _Stream | None:
        """The stream whose next candidate is the newest of all conversations."""
        while True:
            heads = [(stream, head) for stream in self._streams if (head := await stream.head())]
            best = max(heads, key=lambda one: _mark(one[1]), default=None)
            if not self._unopened or (
                best is not None and best[1].at > self._unopened[0][0].last_at + BEHIND
            ):
                return best[0] if best is not None else None
            self._streams.append(_Stream(self._unopened.popleft(), self._grams, self._start))


def _mark(candidate: Candidate) -> Mark:
    return candidate.at, candidate.id
