"""A circuit for each server that is asked: one that fails is left in peace for a while, then tried once."""

import asyncio
import random
from collections import OrderedDict

MAX_PAUSE = 600.0
MAX_KNOWN = 1000


class Circuit:
    """Closed while all is well; open after `failures` in a row; then one attempt at a time decides."""

    def __init__(self, failures: int, pause: float) -> None:
        self._most, self._first_pause = failures, pause
        self._failures, self._pause = 0, pause
        self._open_until: float | None = None
        self._is_trying = False
        self.busy = 0
        """Attempts under way."""

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    @property
    def seconds_left(self) -> float:
        """Until somebody may try again."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - _time())

    def room(self, free: int) -> int:
        """How many of `free` attempts may begin now."""
        if self._open_until is None:
            return free
        return 0 if self._is_trying or self.seconds_left else min(free, 1)

    def begin(self) -> bool:
        """Begin an attempt, if one may begin; it ends with `end`."""
        if not self.room(1):
            return False
        self._is_trying = self.is_open
        self.busy += 1
        return True

    def end(self) -> None:
        """The attempt is over; what came of it has been said before, if anything did."""
        self.busy -= 1
        self._is_trying = False

    def worked(self) -> None:
        self._failures, self._pause, self._open_until = 0, self._first_pause, None

    def failed(self, retry_after: float | None = None, *, at_once: bool = False) -> None:
        """An attempt failed, and others are likely to; `at_once`: they are certain to."""
        self._failures += 1
        wait = min(retry_after or 0.0, MAX_PAUSE)
        if self._open_until is not None and self.seconds_left:  # it began before, and has nothing new to say
            self._open_until = max(self._open_until, _time() + wait)
            return
        if not (at_once or self.is_open or retry_after is not None or self._failures >= self._most):
            return
        pause = self._pause * random.uniform(0.75, 1.25)  # noqa: S311  (jitter)
        self._open_until = _time() + max(pause, wait)
        self._pause = min(self._pause * 2, MAX_PAUSE)


class Circuits:
    """The circuits by server; those that nobody has asked for longest are forgotten."""

    def __init__(self, failures: int, pause: float) -> None:
        self._failures, self._pause = failures, pause
        self._known: OrderedDict[str, Circuit] = OrderedDict()

    def of(self, origin: str) -> Circuit:
        found = self._known.get(origin)
        if found is None:
            found = self._known[origin] = Circuit(self._failures, self._pause)
            self._trim()
        self._known.move_to_end(origin)
        return found

    def _trim(self) -> None:
        idle = [name for name, circuit in self._known.items() if not circuit.busy]
        for name in idle[: max(0, len(self._known) - MAX_KNOWN)]:
            del self._known[name]


def _time() -> float:
    return asyncio.get_running_loop().time()
