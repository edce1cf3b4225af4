"""What a route says of itself: decorators with the names that users of aiohttp-apispec know."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from aiohttp import web
from pydantic import BaseModel

from realtime.policy import Verb

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])
Shape = Any
"""A model, or a type made of models such as `list[Model]`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a route succeeds."""

    shape: Shape
    description: str
    top: type[BaseModel] | None = None
    content_type: str = "application/json"


@dataclass(slots=True)
class Operation:
    """All that is declared about a route."""

    tags: list[str] = field(default_factory=list[str])
    summary: str = ""
    description: str = ""
    verb: Verb = Verb.OPEN
    public: bool = False
    budget: bool = True
    token_in_query: bool = False
    unhurried: bool = False
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])


def operation_of(handler: object) -> Operation | None:
    """What a handler says of itself, if anything."""
    found = getattr(handler, "__operation__", None)
    return found if isinstance(found, Operation) else None


def _operation(handler: Handler) -> Operation:
    found = operation_of(handler)
    if found is None:
        found = cast("Any", handler).__operation__ = Operation()
    return found


def docs(
    *,
    tags: list[str],
    summary: str,
    verb: Verb,
    description: str = "",
    public: bool = False,
    **flags: bool,
) -> Callable[[H], H]:
    """Describe a route; without a description its docstring is used. `verb` is what a caller must be allowed.

    `public` routes need no token, nor do those whose verb is `OPEN`. Flags: `budget=False` exempts from rate
    budgets (probes);
    `token_in_query=True` allows the token in the address, for doors where clients cannot send headers;
    `unhurried=True` has no deadline, for uploads, which have their own pace.
    """
    unknown = flags.keys() - {"budget", "token_in_query", "unhurried"}
    if unknown:
        raise TypeError(f"unknown flags: {', '.join(sorted(unknown))}")

    def mark(handler: H) -> H:
        operation = _operation(handler)
        operation.tags, operation.summary = tags, summary
        operation.public = public or verb is Verb.OPEN
        operation.verb = verb
        operation.description = description or (handler.__doc__ or "").strip()
        operation.budget = flags.get("budget", True)
        operation.token_in_query = flags.get("token_in_query", False)
        operation.unhurried = flags.get("unhurried", False)
        return handler

    return mark


def json_schema(model: type[BaseModel]) -> Callable[[H], H]:
    """The route takes a body of this shape; read it with `body(request, model)`.

    A model that ignores unknown fields belongs to a façade and may also come form-encoded.
    """

    def mark(handler: H) -> H:
        _operation(handler).body = model
        return handler

    return mark


def querystring_schema(model: type[BaseModel]) -> Callable[[H], H]:
    """The route takes these parameters in its address; read them with `query(request, model)`."""

    def mark(handler: H) -> H:
        _operation(handler).query = model
        return handler

    return mark


def response_schema(
    shape: Shape,
    status: int = 200,
    *,
    description: str = "Success",
    top: type[BaseModel] | None = None,
    content_type: str = "application/json",
) -> Callable[[H], H]:
    """The route answers with this shape as `data`, and the fields of `top` beside it.

    With another `content_type` the answer is no JSON and the shape is only said, not checked.
    """

    def mark(handler: H) -> H:
        _operation(handler).answers[status] = Answer(shape, description, top, content_type)
        return handler

    return mark
