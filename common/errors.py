"""Everything that can go wrong on purpose, and its one shape on the wire.

Raise an `AppError` named after what happened. `wire_error` turns any exception into the error object of
REST answers and of Socket.IO acks; what is not an `AppError` becomes `internal`, without its text.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import ValidationError


class AppError(Exception):
    """A refusal people may read. `code` is stable; `detail` is data for programs."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    text: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self, text: str | None = None, *, detail: Any = None, retry_after: float | None = None
    ) -> None:
        super().__init__(text or self.text)
        self.detail = detail
        self.retry_after = retry_after
        """Seconds until trying again makes sense."""


class BadRequest(AppError):
    code, status, text = "bad_request", 400, "The request could not be understood."


class Unauthenticated(AppError):
    code, status, text = "unauthenticated", 401, "Please log in."


class Forbidden(AppError):
    code, status, text = "forbidden", 403, "You may not do that."


class NotFound(AppError):
    code, status, text = "not_found", 404, "There is no such thing."


class MethodNotAllowed(AppError):
    code, status, text = "method_not_allowed", 405, "This address does not answer that method."


class Conflict(AppError):
    code, status, text = "conflict", 409, "That is not possible in the current state."


class TooLarge(AppError):
    code, status, text = "too_large", 413, "That is too large."


class FieldError:
    """One field that did not fit: its path and why."""

    __slots__ = ("field", "message")

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message


class Invalid(AppError):
    """Input that does not fit its schema; lists each field."""

    code, status, text = "invalid_payload", 422, "Some fields are not valid."

    def __init__(
        self, text: str | None = None, *, errors: Iterable[FieldError] = (), detail: Any = None
    ) -> None:
        super().__init__(text, detail=detail)
        self.errors = list(errors)

    @classmethod
    def field(cls, name: str, message: str) -> "Invalid":
        """A single field at fault."""
        return cls(errors=[FieldError(name, message)])


class UnknownField(Invalid):
    """Fields nobody asked for, and nothing else wrong."""

    code, text = "unknown_field", "Some fields are not known here."


class RateLimited(AppError):
    code, status, retryable = "rate_limited", 429, True
    text = "Too many requests. Please slow down."


class Unavailable(AppError):
    code, status, retryable = "unavailable", 503, True
    text = "The service is busy. Please try again."


class Overloaded(Unavailable):
    code, text = "overloaded", "Too much is waiting already. Please try again."


class Timeout(Unavailable):
    code, text = (
        "timeout",
        "That took too long. Whether it happened is unknown; retry with the same clientId.",
    )


class Internal(AppError):
    """A bug of ours."""


MAX_TEXT = 200

_translations: dict[type[BaseException], type[AppError]] = {TimeoutError: Timeout}


def translate(kind: type[BaseException], to: type[AppError]) -> None:
    """Let a driver's exception of `kind` be answered as `to`; called once where the driver is imported."""
    _translations[kind] = to


def as_app_error(error: BaseException) -> AppError:
    """The `AppError` that stands for `error`; `Internal` for what nobody foresaw."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, ValidationError):
        return invalid_from_pydantic(error)
    for kind, to in _translations.items():
        if isinstance(error, kind):
            return to()
    return Internal()


def _said(kind: str, message: str) -> str:
    return "unknown_field" if kind == "extra_forbidden" else message.removeprefix("Value error, ")[:MAX_TEXT]


def invalid_from_pydantic(error: ValidationError) -> Invalid:
    """One entry for each field; `unknown_field` is said for fields nobody asked for."""
    fields = [
        FieldError(
            ".".join(str(part) for part in item["loc"]) or "body",
            _said(item["type"], item["msg"]),
        )
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    only_unknown = all(item.message == "unknown_field" for item in fields)
    return (UnknownField if only_unknown else Invalid)(errors=fields[:50])


def wire_error(error: BaseException, request_id: str) -> dict[str, Any]:
    """The error object of the contract, for a REST body and for the `error` of an ack."""
    problem = as_app_error(error)
    sentence = str(problem)
    body: dict[str, Any] = {
        "success": False,
        "error": sentence,
        "message": sentence,
        "detail": problem.detail,
        "status_code": problem.status,
        "code": problem.code,
        "retryable": problem.retryable,
        "request_id": request_id,
    }
    if isinstance(problem, Invalid) and problem.errors:
        body["errors"] = [{"field": e.field, "message": e.message} for e in problem.errors]
    if problem.retry_after is not None:
        body["retry_after_ms"] = max(1, round(problem.retry_after * 1000))
    return body


def all_codes() -> dict[str, type[AppError]]:
    """Every stable code with the class that raises it, for the docs."""
    found: dict[str, type[AppError]] = {}
    queue: list[type[AppError]] = [AppError]
    while queue:
        kind = queue.pop()
        found.setdefault(kind.code, kind)
        queue.extend(kind.__subclasses__())
    return dict(sorted(found.items()))
