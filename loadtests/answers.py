"""How an answer can disappoint."""

from typing import Any


class Unanswered(Exception):
    """No answer came: whether the command was carried out is unknown."""


class Refused(Exception):
    """An answer said no."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.retryable = bool(error.get("retryable"))
        self.retry_after = float(error.get("retry_after_ms", 0)) / 1000
