"""What this is, how it is, and what it counts."""

import platform
from typing import Literal

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from common.errors import NotFound, Unavailable
from common.version import VERSION
from realtime.policy import Verb
from rest.health import INSPECTOR, Report
from rest.openapi import docs, response_schema
from rest.operators import has_operator_token, is_admin, is_local
from rest.reply import reply, services

routes = web.RouteTableDef()

TAGS = ["system"]


class NotReady(Unavailable):
    code, text = "not_ready", "This node does not take anybody at the moment."


class Unhealthy(Unavailable):
    code, text = "unhealthy", "The database does not answer."


class WelcomeOut(BaseModel):
    """What this is, and where to read on."""

    name: str
    version: str
    docs: str
    realtime_docs: str


class StatusOut(BaseModel):
    status: Literal["ok"] = "ok"


class ProtocolsOut(BaseModel):
    """Versions of what is spoken here."""

    socketio: int = 5
    engineio: int = 4
    openapi: str = "3.1.0"
    asyncapi: str = "3.0.0"


class LimitsOut(BaseModel):
    """Bounds that clients should know. Rates are per minute."""

    public_per_minute: int
    user_per_minute: int
    uploads_per_minute: int
    frame_bytes: int
    body_bytes: int
    json_depth: int
    sockets_per_user: int
    page_limit: int = 100


class InfoOut(BaseModel):
    """What runs here."""

    name: str
    version: str
    python: str
    environment: str
    polling: bool
    protocols: ProtocolsOut
    limits: LimitsOut


@routes.get("/")
@docs(tags=TAGS, summary="What this is", verb=Verb.OPEN)
@response_schema(WelcomeOut)
async def welcome(request: web.Request) -> web.Response:
    """A name, a version, and where the documentation is."""
    return reply(
        WelcomeOut(name="Plaza", version=VERSION, docs="/docs", realtime_docs="/docs/realtime"),
        message="Plaza is running",
    )


@routes.get("/health")
@docs(tags=TAGS, summary="How this node and its engines are", budget=False, verb=Verb.OPEN)
@response_schema(Report, top=Report)
async def health(request: web.Request) -> web.Response:
    """Statuses for everyone, figures for administrators. 503 when the database does not answer."""
    report = await request.app[INSPECTOR].report()
    shown = report if await is_admin(request) or has_operator_token(request) else report.for_everyone()
    fields = shown.model_dump(mode="json", exclude_none=True)
    if report.status == "down":
        raise Unhealthy(detail=fields, retry_after=1)
    return reply(fields, top=fields)


@routes.get("/livez")
@docs(tags=TAGS, summary="Whether the process lives", budget=False, verb=Verb.OPEN)
@response_schema(StatusOut, top=StatusOut)
async def livez(request: web.Request) -> web.Response:
    """Answers as long as the event loop runs; asks nobody."""
    return reply(StatusOut(), top={"status": "ok"})


@routes.get("/readyz")
@docs(tags=TAGS, summary="Whether this node should be sent anybody", budget=False, verb=Verb.OPEN)
@response_schema(StatusOut, top=StatusOut)
async def readyz(request: web.Request) -> web.Response:
    """503 while it stops, while the database does not answer, and while the bus between nodes is deaf."""
    state = services(request).health
    if state.draining:
        raise NotReady(detail={"because": "draining"}, retry_after=1)
    if state.bus is not None and not state.bus.is_up:
        raise NotReady(detail={"because": "bus"}, retry_after=1)
    if not await request.app[INSPECTOR].is_database_up():
        raise NotReady(detail={"because": "database"}, retry_after=1)
    return reply(StatusOut(), top={"status": "ok"})


@routes.get("/info")
@docs(tags=TAGS, summary="Versions, protocols and limits", verb=Verb.OPEN)
@response_schema(InfoOut)
async def info(request: web.Request) -> web.Response:
    """What a client can rely on here."""
    settings = services(request).settings
    shared = settings.limits.model_dump(include=set(LimitsOut.model_fields))
    return reply(
        InfoOut(
            name="Plaza",
            version=VERSION,
            python=platform.python_version(),
            environment=settings.environment,
            polling=settings.polling,
            protocols=ProtocolsOut(),
            limits=LimitsOut(**shared),
        )
    )


@routes.get("/metrics")
@docs(tags=TAGS, summary="Figures for Prometheus", budget=False, verb=Verb.OPEN)
@response_schema(str, content_type="text/plain")
async def metrics(request: web.Request) -> web.Response:
    """With an operator's token set, for its bearer only; in production without one, for this machine only."""
    settings = services(request).settings
    if settings.metrics_token is not None:
        allowed = has_operator_token(request)
    else:
        allowed = not settings.is_production or is_local(request)
    if not allowed:
        raise NotFound
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
