"""A deadline for each of many things that have the same time, by one wheel instead of a timer each.

`asyncio.timeout` does the same for four times the price.
"""

import asyncio
from types import TracebackType
from typing import Any

from realtime.wheel import Wheel

TICKS = 64
"""A deadline is kept to such a part of its time: never early, and at most that late."""


class Deadline:
    """So many seconds for whatever runs within `with deadline.limit():`, else it ends with `TimeoutError`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._wheel: Wheel[_Limit] = Wheel(seconds / TICKS, _Limit.run_out)
        self._loop: asyncio.AbstractEventLoop | None = None

    def limit(self) -> "_Limit":
        """The limit of what the current task does within it; it may not be entered twice."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("only tasks have deadlines")
        return _Limit(task, self._wheel, self._seconds)


class _Limit:
    """One task's time. When it has run out, the task is cancelled, which ends here."""

    __slots__ = ("_cancelled", "_is_over", "_seconds", "_task", "_wheel")

    def __init__(self, task: asyncio.Task[Any], wheel: "Wheel[_Limit]", seconds: float) -> None:
        self._task, self._wheel, self._seconds = task, wheel, seconds
        self._cancelled = task.cancelling()
        self._is_over = False

    def run_out(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __enter__(self) -> None:
        self._wheel.set(self, self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wheel.cancel(self)
        if self._is_over and self._task.uncancel() <= self._cancelled and kind is asyncio.CancelledError:
            raise TimeoutError from error
