"""Who runs this server: the operator's token, or an administrator's log-in."""

import hmac
from collections.abc import Sequence

from aiohttp import web

from common.errors import AppError, NotFound
from rest.reply import maybe_caller, services

LOOPBACK = ("127.0.0.1", "::1")
FORWARDED: Sequence[str] = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def has_operator_token(request: web.Request) -> bool:
    """Whether the operator's token came along as bearer."""
    wanted = services(request).settings.metrics_token
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if wanted is None:
        return False
    return hmac.compare_digest(given.encode(errors="replace"), wanted.get_secret_value().encode())


async def is_admin(request: web.Request) -> bool:
    """Whether an administrator asks; roles are read from the database."""
    who = maybe_caller(request)
    if who is None:
        return False
    try:
        await services(request).accounts.sessions.require_admin(who.user_id)
    except AppError:
        return False
    return True


async def is_operator(request: web.Request) -> bool:
    """The operator's token, or an administrator."""
    return has_operator_token(request) or await is_admin(request)


def is_local(request: web.Request) -> bool:
    """Whether the request was made on this machine and was not passed on by anybody."""
    return request.remote in LOOPBACK and not any(name in request.headers for name in FORWARDED)


async def require_docs(request: web.Request) -> None:
    """Raise `NotFound` where the API pages are not for everybody and this is not the operator."""
    if not services(request).settings.shows_docs and not await is_operator(request):
        raise NotFound
