"""Logs: one line of JSON for each thing that happened, without secrets and never more than a bounded number.

Everything goes through the root logger of the standard library. Secrets are taken out by
the name of their field and by what they look like, long texts are cut, control characters made harmless.
"""

import logging
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LONGEST = 512
LONGEST_TRACE = 8192
SUPPRESSED = "log_lines_suppressed"
SUMMARY_LINES = 1
_KINDS = 100
"""Kinds of suppressed lines that are counted apart."""

_SECRET_NAMES = re.compile(
    r"passw|token|authori[sz]ation|secret|refresh|cookie|credential|e_?mail|api_?key|signature|jwt",
    re.IGNORECASE,
)
_CONTENT_NAMES = frozenset({"text", "body", "content", "payload", "caption", "bio", "address_line"})
_SECRETS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?"  # signed tokens
    r"|pl[a-z]_[\w-]{16,}"  # our opaque ones
    r"|\$2[aby]\$\d\d\$[./\w]{53}"  # password hashes
    r"|(?i:bearer)\s+[\w.~+/=-]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # who logs in to a server named by its address
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)
_GONE = "[gone]"
_QUIET = ("pymongo", "asyncio", "aiosmtplib", "engineio", "socketio", "python_multipart")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lines in any minute: at most, that are alike, and kept free for warnings and errors."""

    most: int = 1000
    alike: int = 100
    for_trouble: int = 200
    minute: float = 60.0


def set_up(
    level: str = "info", style: Literal["json", "console"] = "json", stream: TextIO | None = None
) -> logging.Handler:
    """Send all logs to `stream`, or to the standard error; the handler that does."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = BoundedHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                clean,
                _renderer(style),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    return handler


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _renderer(style: Literal["json", "console"]) -> Processor:
    if style == "console":
        return structlog.dev.ConsoleRenderer(colors=False, timestamp_key="at")
    return structlog.processors.JSONRenderer(serializer=_json)


def _json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode(errors="replace")


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take out what must not be in a log, and bound what may."""
    trace = event.pop("exception", None)
    cleaned = cast("EventDict", _cleaned(event))
    if trace is not None:
        cleaned["exception"] = _harmless(str(trace)[-LONGEST_TRACE:], breaks=True)
    return cleaned


def _cleaned(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _harmless(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > 4:
        return _GONE
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        return {_harmless(str(name)): _field(str(name), inner, depth) for name, inner in pairs.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [_cleaned(inner, depth + 1) for inner in list(cast("Sequence[Any]", value))[:50]]
    return _harmless(str(value))


def _field(name: str, value: Any, depth: int) -> Any:
    is_secret = _SECRET_NAMES.search(name) is not None or name.lower() in _CONTENT_NAMES
    return _GONE if is_secret and value is not None and name != "event" else _cleaned(value, depth + 1)


def _harmless(text: str, *, breaks: bool = False) -> str:
    """`text` without secrets and control characters, and not too long."""
    scrubbed = _SECRETS.sub(_GONE, text[: LONGEST_TRACE * 2])
    if not breaks and len(scrubbed) > LONGEST:
        scrubbed = scrubbed[: LONGEST - 1] + "…"
    return "".join(
        char if char.isprintable() or (breaks and char == "\n") else _escaped(char) for char in scrubbed
    )


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes so many lines in any minute, and so many that are alike; says afterwards what it left out.

    Some room is kept for warnings and errors: what happens to be said often never hides what went wrong.
    """

    def __init__(
        self, stream: TextIO, bounds: Bounds | None = None, *, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(stream)
        self._bounds, self._clock = bounds or Bounds(), clock
        self._lines: deque[tuple[float, str]] = deque()
        """When each line of the last minute was written, and what it was like."""
        self._seen: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._summary_due = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        self._forget(now - self._bounds.minute)
        if self._left_out and now >= self._summary_due:
            self._sum_up(now)
        kind = _kind(record)
        if self._has_room(record.levelno) and self._seen[kind] < self._bounds.alike:
            self._write(now, kind, record)
        else:
            self._leave_out(now, kind)

    def close(self) -> None:
        """Say what is still to be said."""
        if self._left_out:
            self._sum_up(self._clock())
        super().close()

    def _has_room(self, level: int) -> bool:
        kept = SUMMARY_LINES + (self._bounds.for_trouble if level < logging.WARNING else 0)
        return len(self._lines) < self._bounds.most - kept

    def _write(self, now: float, kind: str, record: logging.LogRecord) -> None:
        self._lines.append((now, kind))
        self._seen[kind] += 1
        super().emit(record)

    def _leave_out(self, now: float, kind: str) -> None:
        if not self._left_out:
            self._summary_due = now + self._bounds.minute
        known = kind in self._left_out or len(self._left_out) < _KINDS
        self._left_out[kind if known else "others"] += 1

    def _sum_up(self, now: float) -> None:
        left_out, self._left_out = self._left_out, Counter()
        self._write(now, SUPPRESSED, _summary(left_out))

    def _forget(self, since: float) -> None:
        while self._lines and self._lines[0][0] <= since:
            kind = self._lines.popleft()[1]
            self._seen[kind] -= 1
            if not self._seen[kind]:
                del self._seen[kind]


def _summary(left_out: Counter[str]) -> logging.LogRecord:
    message = f"{SUPPRESSED}: {left_out.total()} lines, most of all {dict(left_out.most_common(5))}"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)


def _kind(record: logging.LogRecord) -> str:
    """What makes two records alike: where they come from and what they say, not the particulars."""
    said: Any = record.msg
    if isinstance(said, MutableMapping):
        said = cast("MutableMapping[str, Any]", said).get("event", "")
    return f"{record.name}:{str(said)[:80]}"
