"""Reporting, what moderators do about it, and appeals."""

from typing import Any

from aiohttp import web

from realtime.features.moderation.schemas.needs import Rows, Window
from realtime.features.moderation.schemas.people import (
    AppealIn,
    AppealOut,
    OwnSanctionOut,
    ReportIn,
    ReportOut,
)
from realtime.features.moderation.schemas.queue import (
    ActionIn,
    CaseDetailOut,
    CaseOut,
    NoteIn,
    QueueQuery,
    ResolveIn,
    ReverseIn,
    SanctionOut,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, maybe_caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS, QUEUE = ["moderation"], ["moderators"]


class QueuePage(PageQuery, QueueQuery):
    """Which cases, and which part of them."""


def window(request: web.Request, wanted: PageQuery, kind: str) -> Window:
    """The part of a list that a query asks for."""
    return Window(wanted.limit, wanted.offset, wanted.position(request, kind))


def listed(request: web.Request, rows: Rows[Any], wanted: PageQuery, kind: str) -> web.Response:
    """The answer with a part of a list."""
    return reply_page(request, rows.items, Page(wanted, rows.total, rows.behind, kind))


# -- everybody


@routes.post("/api/reports")
@docs(tags=TAGS, summary="Report a person or a message", verb=Verb.REPORT)
@json_schema(ReportIn)
@response_schema(ReportOut, 201)
async def report(request: web.Request) -> web.Response:
    """How it is now is kept as evidence. Who has an open report about the same gets that one."""
    made = await services(request).moderation.reports.report(caller(request).user_id, body(request, ReportIn))
    return reply(made, status=201, message="Thank you. Moderators will look at it.")


@routes.get("/api/reports")
@docs(tags=TAGS, summary="One's own reports and what became of them", verb=Verb.OWN)
@querystring_schema(PageQuery)
@response_schema(list[ReportOut])
async def own_reports(request: web.Request) -> web.Response:
    """Newest first."""
    wanted, kind = query(request, PageQuery), "reports"
    reports = services(request).moderation.reports
    return listed(
        request, await reports.own(caller(request).user_id, window(request, wanted, kind)), wanted, kind
    )


@routes.get("/api/sanctions")
@docs(tags=TAGS, summary="What moderators did about the caller", verb=Verb.OWN)
@response_schema(list[OwnSanctionOut])
async def own_sanctions(request: web.Request) -> web.Response:
    """Newest first, at most 50, each with whether one can appeal."""
    return reply(await services(request).moderation.sanctions.own(caller(request).user_id))


@routes.post("/api/appeals")
@docs(tags=TAGS, summary="Appeal against what moderators did", verb=Verb.OPEN)
@json_schema(AppealIn)
@response_schema(AppealOut, 201)
async def appeal(request: web.Request) -> web.Response:
    """Logged in, with `sanctionId`; banned, with the token that comes with the refusal to log in."""
    who = maybe_caller(request)
    made = await services(request).moderation.appeals.appeal(
        who.user_id if who is not None else None, body(request, AppealIn)
    )
    return reply(made, status=201, message="Moderators will look at it.")


@routes.get("/api/appeals")
@docs(tags=TAGS, summary="One's own appeals and what became of them", verb=Verb.OWN)
@querystring_schema(PageQuery)
@response_schema(list[AppealOut])
async def own_appeals(request: web.Request) -> web.Response:
    """Newest first."""
    wanted, kind = query(request, PageQuery), "appeals"
    reports = services(request).moderation.reports
    return listed(
        request,
        await reports.own_appeals(caller(request).user_id, window(request, wanted, kind)),
        wanted,
        kind,
    )


# -- the queue


@routes.get("/api/admin/reports")
@docs(tags=QUEUE, summary="What waits for moderators", verb=Verb.MODERATE)
@querystring_schema(QueuePage)
@response_schema(list[CaseOut])
async def list_queue(request: web.Request) -> web.Response:
    """Reports about the same are one case. The oldest first, or what most people have reported."""
    wanted = query(request, QueuePage)
    sought = QueueQuery(**{name: getattr(wanted, name) for name in QueueQuery.model_fields})
    kind = f"queue:{sought.model_dump_json()}"
    queue = services(request).moderation.queue
    found = await queue.page(caller(request).user_id, sought, window(request, wanted, kind))
    return listed(request, found, wanted, kind)


@routes.get("/api/admin/reports/{id}")
@docs(tags=QUEUE, summary="A case with its reports, their evidence and the history", verb=Verb.MODERATE)
@response_schema(CaseDetailOut)
async def get_case(request: web.Request) -> web.Response:
    """Evidence is how things were when they were reported."""
    queue = services(request).moderation.queue
    return reply(await queue.show(caller(request).user_id, path_id(request, "id")))


@routes.post("/api/admin/reports/{id}/claim")
@docs(tags=QUEUE, summary="Have a case for oneself for a while", verb=Verb.MODERATE)
@response_schema(CaseOut)
async def claim(request: web.Request) -> web.Response:
    """Nobody else can decide on it meanwhile; claiming it again lasts longer."""
    queue = services(request).moderation.queue
    return reply(await queue.claim(caller(request).user_id, path_id(request, "id")))


@routes.post("/api/admin/reports/{id}/release")
@docs(tags=QUEUE, summary="Let others have a case", verb=Verb.MODERATE)
@response_schema(CaseOut)
async def release(request: web.Request) -> web.Response:
    """It stays in the queue."""
    queue = services(request).moderation.queue
    return reply(await queue.release(caller(request).user_id, path_id(request, "id")))


@routes.post("/api/admin/reports/{id}/resolve")
@docs(tags=QUEUE, summary="Decide on a case and do what is decided", verb=Verb.MODERATE)
@json_schema(ResolveIn)
@response_schema(CaseOut)
async def resolve(request: web.Request) -> web.Response:
    """Of two who decide, one does. Accepting an appeal takes back what it is about."""
    queue = services(request).moderation.queue
    case_id, wanted = path_id(request, "id"), body(request, ResolveIn)
    return reply(await queue.resolve(caller(request).user_id, case_id, wanted), message="Decided")


@routes.post("/api/admin/reports/{id}/dismiss")
@docs(tags=QUEUE, summary="Decide that nothing is wrong", verb=Verb.MODERATE)
@json_schema(NoteIn)
@response_schema(CaseOut)
async def dismiss(request: web.Request) -> web.Response:
    """An appeal that is dismissed was rejected."""
    queue = services(request).moderation.queue
    case_id, wanted = path_id(request, "id"), body(request, NoteIn)
    return reply(await queue.dismiss(caller(request).user_id, case_id, wanted), message="Dismissed")


# -- people


@routes.get("/api/admin/users/{id}/actions")
@docs(tags=QUEUE, summary="What was done about somebody", verb=Verb.MODERATE)
@response_schema(list[SanctionOut])
async def list_actions(request: web.Request) -> web.Response:
    """Newest first, at most 50."""
    sanctions = services(request).moderation.sanctions
    return reply(await sanctions.about(caller(request).user_id, path_id(request, "id")))


@routes.post("/api/admin/users/{id}/actions")
@docs(tags=QUEUE, summary="Warn, mute, limit or ban somebody", verb=Verb.MODERATE)
@json_schema(ActionIn)
@response_schema(SanctionOut, 201)
async def act(request: web.Request) -> web.Response:
    """It ends by itself when it says so. The person is told the reason."""
    sanctions = services(request).moderation.sanctions
    user_id, wanted = path_id(request, "id"), body(request, ActionIn)
    return reply(await sanctions.act(caller(request).user_id, user_id, wanted), status=201, message="Done")


@routes.post("/api/admin/actions/{id}/reverse")
@docs(tags=QUEUE, summary="Take an action back", verb=Verb.MODERATE)
@json_schema(ReverseIn)
@response_schema(SanctionOut)
async def reverse(request: web.Request) -> web.Response:
    """Once. The person is told."""
    sanctions = services(request).moderation.sanctions
    sanction_id, wanted = path_id(request, "id"), body(request, ReverseIn)
    return reply(await sanctions.reverse(caller(request).user_id, sanction_id, wanted), message="Taken back")
