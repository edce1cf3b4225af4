"""Reading what providers answer: nothing in it is trusted to have the right shape."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

MAX_WAIT = 86_400.0
MAX_REASON = 80


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, given as such or as a date."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else _until(header)
    except (ValueError, TypeError):
        return None
    return min(max(0.0, seconds), MAX_WAIT)


def fields(body: bytes | str) -> dict[str, Any]:
    """The JSON object in an answer, or an empty one."""
    try:
        return named(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def named(value: object) -> dict[str, Any]:
    """A value that should be an object, as one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def listed(value: object) -> list[dict[str, Any]]:
    """A value that should be a list of objects, as one."""
    return [named(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def text(value: object) -> str:
    """A reason as it may stand in a log: short, and letters only."""
    return "".join(char for char in str(value)[:MAX_REASON] if char.isalnum() or char in "_- .")


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
