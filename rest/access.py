"""Who may ask, and how often: bearer tokens and rate budgets, before a route is called."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from common.addresses import network_of
from common.errors import BadRequest, RateLimited, Unauthenticated
from realtime.limits import Verdict
from rest.operations import Operation
from rest.reply import IDENTITY, address

if TYPE_CHECKING:
    from realtime.bootstrap import Services
    from realtime.features.accounts import Identity

VERDICT = web.RequestKey("verdict", Verdict)
TOKEN_NAMES = ("token", "access_token")


class TokenInUrl(BadRequest):
    code, text = "token_in_url", "Send the token in the Authorization header, never in the address."


async def admit(request: web.Request, operation: Operation, services: "Services") -> None:
    """Fill `request[IDENTITY]`; raises when the token is bad, the budget is used up, or nobody is named.

    On public routes whatever is wrong with a token only means that nobody is named.
    """
    identity, problem = await _identify(request, services)
    request[IDENTITY] = identity
    if identity is not None:
        structlog.contextvars.bind_contextvars(user_id=identity.user_id)
    if operation.budget:
        verdict = _hit(request, identity, services)
        request[VERDICT] = verdict
        if not verdict.allowed:
            raise RateLimited(retry_after=verdict.retry_after)
    if not operation.token_in_query and any(name in request.query for name in TOKEN_NAMES):
        raise TokenInUrl
    if identity is None and not operation.public:
        raise problem or Unauthenticated()


async def _identify(request: web.Request, services: "Services") -> "tuple[Identity | None, Exception | None]":
    given = request.headers.getall("Authorization", ())
    if not given:
        return None, None
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        return None, Unauthenticated()
    try:
        return await services.accounts.authenticate(token.strip()), None
    except Exception as error:
        return None, error


def _hit(request: web.Request, identity: "Identity | None", services: "Services") -> Verdict:
    if identity is not None:
        return services.limits.hit("user", identity.user_id)
    return services.limits.hit("public", network_of(address(request)))


def rate_headers(verdict: Verdict) -> Mapping[str, str]:
    """What a client may still do."""
    return {
        "RateLimit-Limit": str(verdict.limit),
        "RateLimit-Remaining": str(verdict.remaining),
        "RateLimit-Reset": str(int(verdict.reset_seconds) + 1),
    }
