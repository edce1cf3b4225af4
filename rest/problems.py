"""The error object as the API documents show it, and the statuses under which it comes."""

from typing import Any

from common.errors import AppError, all_codes

Json = dict[str, Any]

PROBLEMS = {
    400: "BadRequest",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "NotFound",
    408: "RequestTimeout",
    409: "Conflict",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "RateLimited",
    431: "HeadersTooLarge",
    500: "Internal",
    503: "Unavailable",
}
"""Statuses of refusals and how the documents name them."""

_TEXTS = {
    400: "The request could not be understood.",
    401: "No token, or one that is not valid now.",
    403: "Understood, and not allowed.",
    404: "There is no such thing, or not for you.",
    408: "The request took too long to arrive.",
    409: "Not possible in the current state.",
    413: "Larger than we take.",
    415: "Not a type we take.",
    422: "Does not fit; `errors` names the fields.",
    429: "A budget is used up; `Retry-After` says for how long.",
    431: "The address or a header is too long.",
    500: "A bug of ours; quote the `request_id`.",
    503: "Busy or stopping; try again.",
}

ERROR_SCHEMAS: dict[str, Json] = {
    "FieldError": {
        "type": "object",
        "required": ["field", "message"],
        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
    },
    "Error": {
        "type": "object",
        "description": "What every refusal says. `code` is stable; `error` and `message` are for people.",
        "required": [
            "success", "error", "message", "detail", "status_code", "code", "retryable", "request_id",
        ],
        "properties": {
            "success": {"const": False},
            "error": {"type": "string"},
            "message": {"type": "string"},
            "detail": {"description": "Data for programs, or null."},
            "status_code": {"type": "integer"},
            "code": {"type": "string", "pattern": "^[a-z0-9_]+$"},
            "retryable": {"type": "boolean"},
            "request_id": {"type": "string"},
            "retry_after_ms": {"type": "integer"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
        },
    },
}  # fmt: skip

_NUMBER = {"schema": {"type": "integer"}}
_RATES = dict.fromkeys(("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"), _NUMBER)


def problem_responses() -> dict[str, Json]:
    """One response component for each status, with the codes it may carry."""
    return {name: _response(status) for status, name in PROBLEMS.items()}


def codes() -> list[tuple[str, type[AppError]]]:
    """Every error code there is, with what raises it."""
    return list(all_codes().items())


def _response(status: int) -> Json:
    known = [code for code, kind in codes() if kind.status == status]
    described = f"{_TEXTS[status]} Codes: {', '.join(f'`{code}`' for code in known)}."
    response: Json = {
        "description": described,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == 429:
        response["headers"] = _RATES
    return response
