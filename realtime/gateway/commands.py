"""The command table: which events a client may send, and the typed handler behind each.

A handler is a method `async def name(self, session: Session, body: BodyModel) -> ResultModel | None`.
As a plain `def` it runs at once, without a task, when nothing is in front of it; it returns the result, or a
coroutine if it has to wait after all (`Soon[ResultModel]`).
The table reads both models from its annotations; they are also what `/docs/realtime` shows.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args, get_type_hints

from prometheus_client import Histogram
from pydantic import BaseModel

from common import metrics
from common.errors import BadRequest
from realtime.gateway.session import Session
from realtime.policy import Verb

Result = Awaitable[BaseModel | None] | BaseModel | None
F = TypeVar("F", bound=Callable[..., Result])
R = TypeVar("R")
Handler = Callable[[Session, Any], Result]
Soon = R | Coroutine[Any, Any, R]
"""A result, or what leads to it."""

RESERVED = frozenset(
    {
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "error",
        "newListener",
        "removeListener",
        "trigger_event",
        "__proto__",
        "constructor",
        "prototype",
        "*",
    }
)


class UnknownEvent(BadRequest):
    code, status, text = "unknown_event", 404, "There is no such event."


class ReservedEvent(BadRequest):
    code, text = "reserved_event", "That event name is reserved."


def command(name: str, verb: Verb) -> Callable[[F], F]:
    """Mark a method as the handler of the client event `name`; `verb` is what its sender must be allowed."""

    def mark(function: F) -> F:
        cast("Any", function).__command__ = name
        cast("Any", function).__verb__ = verb
        return function

    return mark


@dataclass(frozen=True, slots=True)
class Command:
    """One client event: its name, shapes, description and handler."""

    name: str
    body: type[BaseModel]
    validate: Callable[..., Any]
    """Makes a body of what was sent; raises `ValidationError`."""
    result: type[BaseModel] | None
    description: str
    verb: Verb
    handler: Handler
    succeeded: metrics.Tally
    seconds: Histogram


class CommandTable:
    """All commands by name."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def add(self, owner: object) -> None:
        """Register every `@command` method of `owner`."""
        for _, method in inspect.getmembers(owner, inspect.ismethod):
            name = getattr(method, "__command__", None)
            if isinstance(name, str):
                self._add(name, method)

    def _add(self, name: str, method: Callable[..., Any]) -> None:
        if name in self._commands or name in RESERVED:
            raise TypeError(f"command {name} is defined twice or reserved")
        hints = get_type_hints(method)
        body: type[BaseModel] = hints["body"]
        self._commands[name] = Command(
            name,
            body,
            body.__pydantic_validator__.validate_python,
            _result_of(hints.get("return")),
            inspect.cleandoc(method.__doc__ or ""),
            cast("Any", method).__verb__,
            method,
            metrics.commands.labels(name, "ok"),
            metrics.ack_seconds.labels(name),
        )

    def find(self, name: str) -> Command:
        """The command of that name; raises `UnknownEvent` or `ReservedEvent`."""
        found = self._commands.get(name)
        if found is not None:
            return found
        if name in RESERVED or name.startswith(("on_", "__")):
            raise ReservedEvent
        raise UnknownEvent

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def __contains__(self, name: str) -> bool:
        return name in self._commands


def _result_of(annotation: Any) -> type[BaseModel] | None:
    """The model among what a handler may return."""
    kinds = get_args(annotation) or (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
