"""One timer for many deadlines: a timing wheel (Varghese and Lauck, 1987, scheme 6).

A deadline costs an entry in a set, not a timer of the event loop. It is kept to a tick: never early, at most
one tick late.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Wheel(Generic[T]):
    """Calls `due(item)` when the time of an item has come. An item has one deadline: the last one set."""

    def __init__(self, tick: float, due: Callable[[T], None]) -> None:
        self._tick, self._due = tick, due
        self._slots: dict[int, set[T]] = {}
        self._slot_of: dict[T, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turned = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    def items(self) -> Sequence[T]:
        """All that have a deadline."""
        return tuple(self._slot_of)

    def set(self, item: T, seconds: float) -> None:
        """Let `item` be due after `seconds`, whatever was set before."""
        now = monotonic()
        slot = int((now + seconds) / self._tick) + 1
        before = self._slot_of.get(item)
        if before == slot:
            return
        if before is not None:
            self._take_out(item, before)
        self._slot_of[item] = slot
        items = self._slots.get(slot)
        if items is None:
            items = self._slots[slot] = set()
        items.add(item)
        if self._timer is None:
            self._turned = int(now / self._tick)
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._turn)

    def cancel(self, item: T) -> None:
        """Forget `item`; one that has no deadline is fine, too."""
        slot = self._slot_of.pop(item, None)
        if slot is not None:
            self._take_out(item, slot)

    def _take_out(self, item: T, slot: int) -> None:
        items = self._slots.get(slot)
        if items is not None:
            items.discard(item)
            if not items:
                del self._slots[slot]

    def _turn(self) -> None:
        now = int(monotonic() / self._tick)
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._turn) if self._slots else None
        passed = range(self._turned + 1, now + 1)
        self._turned = now
        # After a long stall there may be more ticks than slots.
        for slot in passed if len(passed) < len(self._slots) else sorted(self._slots):
            if slot <= now:
                self._call(slot)

    def _call(self, slot: int) -> None:
        for item in self._slots.pop(slot, ()):
            if (
                self._slot_of.get(item) == slot
            ):  # one that was due before may have moved or cancelled this one
                del self._slot_of[item]
                try:
                    self._due(item)
                except Exception:
                    log.exception("deadline_failed")
