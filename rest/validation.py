"""Bodies and query strings: read within bounds, checked against their models before the handler runs."""

from typing import Any, TypeVar, cast, get_origin
from urllib.parse import parse_qsl

import orjson
from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError as PayloadError
from pydantic import BaseModel

from common.errors import AppError, BadRequest, FieldError, Invalid, TooLarge
from rest.operations import Handler, Operation, operation_of
from rest.reply import services

M = TypeVar("M", bound=BaseModel)

BODY = web.RequestKey("body", BaseModel)
QUERY = web.RequestKey("query", BaseModel)
READING = web.RequestKey("reading", bool)
"""Set while the body is on its way: a deadline that passes then is the client's."""

MAX_FORM_FIELDS = 200
FORM = "application/x-www-form-urlencoded"


class TooDeep(Invalid):
    code, text = "too_deep", "The JSON is nested too deeply."


class BadJson(Invalid):
    code, text = "bad_json", "The body is not valid JSON: finite numbers and valid Unicode only."


class UnsupportedType(AppError):
    code, status = "unsupported_media_type", 415
    text = "Send JSON, uncompressed, with the Content-Type application/json."


class BrokenBody(BadRequest):
    code, text = "broken_body", "The body broke off or was not sent as announced."


def body(request: web.Request, model: type[M]) -> M:
    """The checked body."""
    return _checked(request, BODY, model)


def query(request: web.Request, model: type[M]) -> M:
    """The checked parameters of the address."""
    return _checked(request, QUERY, model)


def _checked(request: web.Request, key: web.RequestKey[BaseModel], model: type[M]) -> M:
    found = request.get(key)
    if not isinstance(found, model):
        raise TypeError(f"{request.match_info.handler} does not declare {model.__name__}")
    return found


@web.middleware
async def validation_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check what the route declares, then call it."""
    operation = operation_of(request.match_info.handler)
    if operation is not None:
        await validate(request, operation)
    return await handler(request)


async def validate(request: web.Request, operation: Operation) -> None:
    """Fill what `query` and `body` return, or raise `Invalid`."""
    if operation.query is not None:
        values = _query_values(request, operation.query)
        request[QUERY] = operation.query.model_validate(values, by_alias=True, by_name=False)
    if operation.body is not None:
        limits = services(request).settings.limits
        raw = await _read(request, limits.body_bytes)
        values = _body_values(request, raw, operation.body, limits.json_depth)
        request[BODY] = operation.body.model_validate(values, by_alias=True, by_name=False)


# -- query strings


def _query_values(request: web.Request, model: type[BaseModel]) -> dict[str, Any]:
    return _fields(list(request.query.items()), model)


def _fields(pairs: list[tuple[str, str]], model: type[BaseModel]) -> dict[str, Any]:
    """Name and value pairs as an object: lists where the model wants them, otherwise each name once."""
    lists = _list_names(model)
    values: dict[str, Any] = {}
    for name, value in pairs:
        plain = name.removesuffix("[]")
        if plain in lists:
            values.setdefault(plain, []).append(value)
        elif name in values:
            raise Invalid.field(name, "is given more than once")
        else:
            values[name] = value
    return values


def _list_names(model: type[BaseModel]) -> set[str]:
    return {
        field.alias or name
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) in (list, set, tuple)
    }


# -- bodies


async def _read(request: web.Request, most: int) -> bytes:
    """The body, refused as soon as it is known to be too large."""
    if "Content-Encoding" in request.headers:
        raise UnsupportedType
    if (request.content_length or 0) > most:
        raise TooLarge
    request[READING] = True
    try:
        raw = await _gather(request.content, most)
    except (ConnectionError, PayloadError, HttpProcessingError):
        raise BrokenBody from None
    request[READING] = False
    return raw


async def _gather(content: StreamReader, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in content.iter_any():
        size += len(part)
        if size > most:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


def _body_values(request: web.Request, raw: bytes, model: type[BaseModel], depth: int) -> Any:
    if not raw:
        return {}
    if request.content_type == FORM and is_facade(model):
        return _form_values(raw, model)
    if request.content_type != "application/json":
        raise UnsupportedType
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadJson from None
    if not isinstance(values, dict):
        raise Invalid(errors=[FieldError("body", "must be an object")])
    if raw.count(b"{") + raw.count(b"[") > depth:
        require_depth(values, depth)
    return cast("dict[str, Any]", values)


def is_facade(model: type[BaseModel]) -> bool:
    """Whether the model belongs to a façade, whose clients send what they like and may send forms."""
    return model.model_config.get("extra") != "forbid"


def _form_values(raw: bytes, model: type[BaseModel]) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise Invalid(errors=[FieldError("body", "is not a valid form")]) from None
    return _fields(pairs, model)


def require_depth(values: Any, most: int) -> None:
    """Refuse what is nested deeper than `most` levels; walks, so that depth costs no stack."""
    level: list[Any] = [values]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (cast("Any", outer).values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise TooDeep
