"""What a route needs from its request, and the one shape of every answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, model_validator

from common.errors import NotFound, Unauthenticated
from common.ids import Id, is_id
from realtime.channels import Wire
from rest.cursors import decode_cursor, encode_cursor

if TYPE_CHECKING:
    from realtime.bootstrap import Services
    from realtime.features.accounts import Identity

SERVICES: "web.AppKey[Services]" = web.AppKey("services")
CURSOR_SECRET = web.AppKey("cursor_secret", bytes)
IDENTITY: "web.RequestKey[Identity | None]" = web.RequestKey("identity")
ADDRESS = web.RequestKey("address", str)

Data = BaseModel | Mapping[str, Any] | Sequence[Any] | None


# -- reading


def services(request: web.Request) -> "Services":
    """Everything this process can do."""
    return request.app[SERVICES]


def caller(request: web.Request) -> "Identity":
    """Who asks; raises `Unauthenticated` when nobody in particular does."""
    identity = maybe_caller(request)
    if identity is None:
        raise Unauthenticated
    return identity


def maybe_caller(request: web.Request) -> "Identity | None":
    """Who asks, on public routes too, when a valid token came along."""
    return request.get(IDENTITY)


def address(request: web.Request) -> str:
    """Where the request comes from, behind our own proxies."""
    return request[ADDRESS]


def path_id(request: web.Request, name: str) -> Id:
    """The id in the path; what is no id cannot be found."""
    text = request.match_info[name]
    if not is_id(text):
        raise NotFound
    return text


# -- answering


def reply(
    data: Data = None, *, status: int = 200, message: str = "OK", top: Mapping[str, Any] | None = None
) -> web.Response:
    """`{"success": true, "data": …, "message": …}`, with the fields of `top` beside them."""
    body: dict[str, Any] = {"success": True, "data": data, "message": message}
    if top:
        body = {**top, **body}
    return web.Response(body=encode(body), status=status, content_type="application/json")


def encode(body: Any) -> bytes:
    """JSON as all our answers have it: camelCase where models say so, times with `Z`."""
    return orjson.dumps(body, default=_encode_model, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC)


def _encode_model(value: object) -> Any:
    if isinstance(value, BaseModel):
        return orjson.Fragment(value.model_dump_json(by_alias=True))
    raise TypeError(f"{type(value).__name__} is no JSON")


# -- lists


class PageQuery(Wire):
    """Which part of a list: a page number, or the `next_cursor` of the page before, which never skips."""

    page: int = Field(default=1, ge=1, le=10_000)
    limit: int = Field(default=20, ge=1, le=100)
    per_page: int | None = Field(
        default=None, ge=1, le=100, alias="per_page", description="Another word for `limit`."
    )
    cursor: str | None = Field(default=None, min_length=1, max_length=1024)

    @model_validator(mode="before")
    @classmethod
    def _one_limit(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, Any]", values)
        synonym = given.get("per_page")
        if synonym is not None and given.setdefault("limit", synonym) != synonym:
            raise ValueError("limit and per_page differ")
        return given

    @property
    def offset(self) -> int:
        """How many rows come before a numbered page."""
        return (self.page - 1) * self.limit

    def position(self, request: web.Request, kind: str) -> tuple[str, ...] | None:
        """The sort values the cursor stands behind; None without one. Raises `BadCursor`.

        A cursor belongs to the list `kind` of one caller: name in `kind` whatever else makes the list.
        """
        if self.cursor is None:
            return None
        return decode_cursor(self.cursor, _kind(request, kind), request.app[CURSOR_SECRET])


class Pagination(BaseModel):
    """Where a page stands in its list. `next_cursor` is null on the last one."""

    page: int
    limit: int
    total: int
    pages: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of a page beside its rows. `behind`: sort values of its last row, if more follow."""

    query: PageQuery
    total: int
    behind: Sequence[str] | None
    kind: str


def reply_page(
    request: web.Request,
    items: Sequence[Any],
    page: Page,
    *,
    message: str = "OK",
    top: Mapping[str, Any] | None = None,
) -> web.Response:
    """A list and the `pagination` object beside it."""
    limit = page.query.limit
    following = None
    if page.behind is not None:
        following = encode_cursor(page.behind, _kind(request, page.kind), request.app[CURSOR_SECRET])
    pagination = Pagination(
        page=page.query.page,
        limit=limit,
        total=page.total,
        pages=-(-page.total // limit),
        next_cursor=following,
    )
    return reply(items, message=message, top={**(top or {}), "pagination": pagination})


def _kind(request: web.Request, kind: str) -> str:
    who = maybe_caller(request)
    return f"{kind}:{who.user_id if who is not None else ''}"
