"""Signing up, logging in and out, tokens and passwords, in the dialects of the three apps."""

from aiohttp import web

from common.errors import BadRequest
from realtime.features.accounts.schemas.auth import (
    ChangePasswordIn,
    Device,
    FacadeLoginIn,
    ForgotIn,
    LoggedInOut,
    LoginIn,
    LoginOut,
    LogoutIn,
    RefreshIn,
    RegisterIn,
    ResetIn,
    SignedUpOut,
    SignupIn,
    TokensTop,
)
from realtime.features.accounts.schemas.users import MeOut
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, response_schema
from rest.reply import address, caller, path_id, reply, services

routes = web.RouteTableDef()

TAGS = ["accounts"]
SENT = "If somebody has this address, a mail with a link is on its way to it."


class BadAuthorization(BadRequest):
    code, text = "bad_authorization", "The Authorization header is not of the form `Bearer <token>`."


def device(request: web.Request) -> Device:
    """Where a request comes from."""
    return Device(address(request), request.headers.get("User-Agent", ""))


def bearer(request: web.Request) -> str | None:
    """The access token that came along, whatever it is worth."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadAuthorization
    return token.strip()


def with_tokens(found: LoggedInOut | SignedUpOut, *, status: int, message: str) -> web.Response:
    """Tokens stand in `data` and, for apps that look there, beside it."""
    top = {} if found.access_token is None else TokensTop.of(found).model_dump()
    return reply(found, status=status, message=message, top=top)


@routes.post("/api/auth/signup")
@docs(tags=TAGS, summary="Make an account and log in", verb=Verb.OPEN)
@json_schema(SignupIn)
@response_schema(SignedUpOut, 201, top=TokensTop)
async def signup(request: web.Request) -> web.Response:
    """Where accounts are approved first, there are no tokens yet."""
    made = await services(request).accounts.signup(body(request, SignupIn), device(request))
    waits = made.access_token is None
    return with_tokens(made, status=201, message="Waiting for approval" if waits else "Welcome")


async def _register(request: web.Request) -> web.Response:
    await services(request).accounts.register(body(request, RegisterIn))
    return reply(status=201, message="Account created")


@routes.post("/api/auth/register")
@docs(tags=TAGS, summary="Make an account from a username (gallery)", verb=Verb.OPEN)
@json_schema(RegisterIn)
@response_schema(None, 201)
async def register(request: web.Request) -> web.Response:
    """Where accounts are approved first, it waits for an administrator."""
    return await _register(request)


@routes.post("/api/register")
@docs(tags=TAGS, summary="Make an account from a username (meetup)", verb=Verb.OPEN)
@json_schema(RegisterIn)
@response_schema(None, 201)
async def register_meetup(request: web.Request) -> web.Response:
    """No e-mail address is needed."""
    return await _register(request)


async def _login(request: web.Request, model: type[LoginIn]) -> web.Response:
    found = await services(request).accounts.login(body(request, model), device(request))
    return with_tokens(found, status=200, message="Logged in")


@routes.post("/api/auth/login")
@docs(tags=TAGS, summary="Log in", verb=Verb.OPEN)
@json_schema(LoginIn)
@response_schema(LoggedInOut, top=TokensTop)
async def login(request: web.Request) -> web.Response:
    """By e-mail address, username or handle. Attempts are counted per account and per address."""
    return await _login(request, LoginIn)


@routes.post("/api/login")
@docs(tags=TAGS, summary="Log in (meetup)", verb=Verb.OPEN)
@json_schema(FacadeLoginIn)
@response_schema(LoggedInOut, top=TokensTop)
async def login_meetup(request: web.Request) -> web.Response:
    """The same, for bodies that carry more."""
    return await _login(request, FacadeLoginIn)


async def _logout(request: web.Request) -> web.Response:
    wanted = body(request, LogoutIn)
    accounts = services(request).accounts
    await accounts.logout(bearer(request), wanted.refresh_token, wanted.username)
    return reply(message="Logged out")


@routes.post("/api/auth/logout")
@docs(tags=TAGS, summary="Log out", verb=Verb.OPEN)
@json_schema(LogoutIn)
@response_schema(None)
async def logout(request: web.Request) -> web.Response:
    """Ends the log-in of the access token, even an expired one, or of `refresh_token`; closes its sockets."""
    return await _logout(request)


@routes.post("/api/logout")
@docs(tags=TAGS, summary="Log out (meetup)", verb=Verb.OPEN)
@json_schema(LogoutIn)
@response_schema(None)
async def logout_meetup(request: web.Request) -> web.Response:
    """The same."""
    return await _logout(request)


@routes.post("/api/auth/refresh")
@docs(tags=TAGS, summary="Exchange a refresh token for a new pair", verb=Verb.OPEN)
@json_schema(RefreshIn)
@response_schema(LoggedInOut, top=TokensTop)
async def refresh(request: web.Request) -> web.Response:
    """A refresh token works once; showing it again later ends the log-in for everybody who has a copy."""
    found = await services(request).accounts.refresh(body(request, RefreshIn).refresh_token)
    return with_tokens(found, status=200, message="Refreshed")


@routes.post("/api/auth/forgot-password")
@docs(tags=TAGS, summary="Ask for a link to choose another password", verb=Verb.OPEN)
@json_schema(ForgotIn)
@response_schema(None)
async def forgot_password(request: web.Request) -> web.Response:
    """The answer is the same whether or not somebody has this address."""
    await services(request).accounts.resets.forgot(body(request, ForgotIn))
    return reply(message=SENT)


@routes.post("/api/auth/reset-password")
@docs(tags=TAGS, summary="Choose another password with the token of a link", verb=Verb.OPEN)
@json_schema(ResetIn)
@response_schema(None)
async def reset_password(request: web.Request) -> web.Response:
    """A link works once, for half an hour. Every log-in ends."""
    await services(request).accounts.resets.reset(body(request, ResetIn))
    return reply(message="Password changed")


@routes.post("/api/auth/change-password")
@docs(tags=TAGS, summary="Choose another password, knowing the current one", verb=Verb.OWN)
@json_schema(ChangePasswordIn)
@response_schema(None)
async def change_password(request: web.Request) -> web.Response:
    """Every other log-in ends."""
    wanted = body(request, ChangePasswordIn)
    await services(request).accounts.change_password(caller(request), wanted, address(request))
    return reply(message="Password changed")


@routes.get("/api/auth/me")
@docs(tags=TAGS, summary="Who the caller is", verb=Verb.OWN)
@response_schema(MeOut)
async def me(request: web.Request) -> web.Response:
    """Everything about oneself, with the names all three apps use."""
    return reply(await services(request).profiles.me(caller(request).user_id))


@routes.get("/api/auth/sessions")
@docs(tags=TAGS, summary="Where the caller is logged in", verb=Verb.OWN)
@response_schema(list[LoginOut])
async def list_sessions(request: web.Request) -> web.Response:
    """Last used first; `current` is the one that asks."""
    return reply(await services(request).accounts.sessions.list(caller(request)))


@routes.delete("/api/auth/sessions/{id}")
@docs(tags=TAGS, summary="Log out another device", verb=Verb.OWN)
@response_schema(None)
async def end_session(request: web.Request) -> web.Response:
    """Closes its sockets on every node; doing it again is fine."""
    accounts = services(request).accounts
    await accounts.sessions.end_own(caller(request).user_id, path_id(request, "id"))
    return reply(message="Logged out")
