"""Counting what a process writes into its log."""

from collections import deque
from datetime import datetime, timedelta

import orjson

MINUTE = timedelta(minutes=1)


def lines_in_a_minute(log: str) -> int:
    """The most lines of JSON that were written within any sixty seconds."""
    most, recent = 0, deque[datetime]()
    for line in log.splitlines():
        if line.startswith("{"):
            at = orjson.loads(line).get("at")
            recent.append(datetime.fromisoformat(at) if at else recent[-1])
            while recent[0] <= recent[-1] - MINUTE:
                recent.popleft()
            most = max(most, len(recent))
    return most
