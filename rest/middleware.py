"""The edge of the side-car: what holds for every request and every answer, whatever the route."""

import asyncio
import re
import time
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from common import metrics
from common.addresses import client_address
from common.errors import (
    AppError,
    BadRequest,
    Forbidden,
    Internal,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
    as_app_error,
    wire_error,
)
from common.ids import new_id
from rest.access import VERDICT, admit, rate_headers
from rest.downloads import RangeRefused
from rest.encoding import finish
from rest.operations import Handler, Operation, operation_of
from rest.reply import ADDRESS, encode
from rest.validation import READING

if TYPE_CHECKING:
    from realtime.bootstrap import Services

log = structlog.get_logger(__name__)

REQUEST_ID = web.RequestKey("request_id", str)
SOCKETS = "/socket.io"
ID_FORM = re.compile(r"[A-Za-z0-9._-]{8,64}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOWHERE = Operation(public=True)
"""What is asked of a request that meets no route."""

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "plaza",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Range, "
        "Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset"
    ),
    "Access-Control-Max-Age": "600",
}
EXPOSED = (
    "ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id, Accept-Ranges, "
    "Content-Range, Location, Tus-Resumable, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
)
_MEANING: dict[int, type[AppError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: TooLarge,
}


class RequestTimeout(AppError):
    code, status, retryable = "request_timeout", 408, True
    text = "The request took too long to arrive."


class OriginRefused(Forbidden):
    code, text = "origin_refused", "Pages of this origin may not connect."


def edge_middleware(services: "Services") -> Middleware:
    """Everything around a route; sockets pass untouched."""
    edge = Edge(services)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(SOCKETS):
            return await handler(request)
        return await edge.handle(request, handler)

    return middleware


class Edge:
    """Ids, deadlines, access, errors in their one shape, and headers."""

    def __init__(self, services: "Services") -> None:
        self._services, self._settings = services, services.settings
        self._origins = frozenset(self._settings.allowed_origins)
        self._security = dict(SECURITY)
        if self._settings.public_url.startswith("https://"):
            self._security["Strict-Transport-Security"] = "max-age=31536000"

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        started = time.perf_counter()
        self._introduce(request)
        try:
            response = await self._answer(request, handler)
        except Exception as error:
            response = self._refusal(request, error)
        if not response.prepared:
            response = await self._dress(request, response)
        self._note(request, response.status, time.perf_counter() - started)
        return response

    def _introduce(self, request: web.Request) -> None:
        """Give the request its address and its id; only our own proxies may choose the id."""
        forwarded = request.headers.getall("X-Forwarded-For", ())
        request[ADDRESS] = client_address(request.remote, forwarded, self._settings.trusted_proxies)
        given = request.headers.get("X-Request-Id", "")
        is_ours = request[ADDRESS] != request.remote
        request[REQUEST_ID] = given if is_ours and ID_FORM.fullmatch(given) else new_id()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request[REQUEST_ID])

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return self._preflight(request)
        operation = operation_of(request.match_info.handler) or NOWHERE
        try:
            async with asyncio.timeout(None if operation.unhurried else self._settings.timeouts.request):
                await admit(request, operation, self._services)
                return await handler(request)
        except TimeoutError:
            if request.get(READING):
                raise RequestTimeout from None
            raise

    def _preflight(self, request: web.Request) -> web.Response:
        if request.headers.get("Origin") not in self._origins:
            raise OriginRefused
        return web.Response(status=204, headers=PREFLIGHT)

    # -- errors

    def _refusal(self, request: web.Request, error: Exception) -> web.StreamResponse:
        """The error object, with the headers that belong to it."""
        if isinstance(error, web.HTTPException) and error.status < 400:
            return error
        problem = _problem(error)
        if isinstance(problem, Internal):
            log.exception("request_failed", route=_route(request), exc_info=error)
        body = encode(wire_error(problem, request[REQUEST_ID]))
        response = web.Response(body=body, status=problem.status, content_type="application/json")
        if isinstance(error, web.HTTPMethodNotAllowed):
            response.headers["Allow"] = _allowed(error)
        if problem.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if problem.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, -int(-problem.retry_after // 1)))
        if problem.status in (408, 413):
            response.force_close()
        if isinstance(problem, RangeRefused):
            response.headers["Content-Range"] = f"bytes */{problem.size}"
        return response

    # -- headers

    async def _dress(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        headers = response.headers
        for name, value in self._security.items():
            headers.setdefault(name, value)
        headers.setdefault(
            "Cache-Control", "private, no-cache" if _is_read(request, response) else "no-store"
        )
        if isinstance(response, web.Response):
            response = await finish(request, response)
            headers = response.headers
        headers["X-Request-Id"] = request[REQUEST_ID]
        if (verdict := request.get(VERDICT)) is not None:
            headers.update(rate_headers(verdict))
        if self._origins:
            self._allow_origin(request, response)
        return response

    def _allow_origin(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED

    # -- watching

    def _note(self, request: web.Request, status: int, seconds: float) -> None:
        route = _route(request)
        method = request.method if request.method in METHODS else "other"
        metrics.requests.labels(method, route, status).inc()
        metrics.request_seconds.labels(route).observe(seconds)
        log.debug(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            agent=_printable(request.headers.get("User-Agent", "")),
        )


def _problem(error: Exception) -> AppError:
    """What an exception means, aiohttp's own among them."""
    if not isinstance(error, web.HTTPException):
        return as_app_error(error)
    fallback = BadRequest if error.status < 500 else Internal
    return _MEANING.get(error.status, fallback)()


def _allowed(error: web.HTTPMethodNotAllowed) -> str:
    return ", ".join(sorted(error.allowed_methods))


def _is_read(request: web.Request, response: web.StreamResponse) -> bool:
    return request.method in ("GET", "HEAD") and response.status in (200, 304)


def _route(request: web.Request) -> str:
    """The route as it was declared: never what a client made up."""
    resource = request.match_info.route.resource
    return (resource.canonical.rstrip("/") or "/") if resource is not None else "unmatched"


def _printable(text: str) -> str:
    """A header as logs may show it: short, and nothing a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text[:200])
