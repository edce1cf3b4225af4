"""What no request to `/socket.io/` may bring, whoever it comes from."""

from collections.abc import Callable

from aiohttp import web

from common.errors import AppError, BadRequest


class OriginRefused(AppError):
    code, status, text = "origin_refused", 403, "Pages of this origin may not connect."


class TokenInUrl(BadRequest):
    code, text = "token_in_url", "Send the token in `auth`, never in the address."


def refusal(request: web.Request, allows: Callable[[str], bool]) -> AppError | None:
    """Why a request must not reach the transport, if it must not."""
    origin = request.headers.get("Origin")
    if origin is not None and not allows(origin) and origin != _own_origin(request):
        return OriginRefused()
    if {"token", "access_token"} & set(request.query):
        return TokenInUrl()
    if request.method == "POST" and (request.content_length is None or "Content-Encoding" in request.headers):
        return BadRequest("A POST needs a Content-Length and no Content-Encoding.")
    return None


def _own_origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"
