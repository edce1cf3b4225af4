"""What no request to `/socket.io/` may bring, and how one is turned away."""

import math
from collections.abc import Callable
from http import HTTPStatus

import orjson
from aiohttp import web

from common.errors import AppError, BadRequest, wire_error
from common.ids import new_id


class OriginRefused(AppError):
    code, status, text = "origin_refused", 403, "Pages of this origin may not connect."


class TokenInUrl(BadRequest):
    code, text = "token_in_url", "Send the token in `auth`, never in the address."


def refusal(request: web.Request, allows: Callable[[str], bool]) -> AppError | None:
    """Why a request must not reach the transport, if it must not."""
    origin = request.headers.get("Origin")
    if origin is not None and not allows(origin) and origin != _own_origin(request):
        return OriginRefused()
    sessions = request.query.getall("sid", [])
    if len(sessions) > 1 or "" in sessions:
        return BadRequest("A request names one session.")
    if {"token", "access_token"} & set(request.query):
        return TokenInUrl()
    if request.method == "POST" and (request.content_length is None or "Content-Encoding" in request.headers):
        return BadRequest("A POST needs a Content-Length and no Content-Encoding.")
    return None


def _own_origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def turned_away(problem: AppError) -> web.Response:
    """The answer at the door; whoever is to come back later need not keep the connection."""
    response = web.json_response(body=_body(problem), status=problem.status)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(problem.retry_after))
        response.force_close()
    return response


def refusal_bytes(problem: AppError) -> bytes:
    """The same answer, written down: in a storm there are many, and each ends its connection."""
    body = _body(problem)
    head = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Retry-After: {math.ceil(problem.retry_after or 1.0)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _body(problem: AppError) -> bytes:
    return orjson.dumps(wire_error(problem, new_id()))
