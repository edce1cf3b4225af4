"""For administrators: accounts, and deciding on those that wait."""

from aiohttp import web

from realtime.features.accounts.schemas.admin import AdminUserOut
from realtime.features.accounts.schemas.common import Rows, Window
from rest.openapi import docs, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS = ["admin"]
ALL, PENDING = "admin-users", "admin-users-pending"


def window(request: web.Request, kind: str) -> Window:
    """Which part of a list is asked for."""
    wanted = query(request, PageQuery)
    return Window(wanted.limit, wanted.offset, wanted.position(request, kind))


def listed(request: web.Request, found: Rows[AdminUserOut], kind: str) -> web.Response:
    page = Page(query(request, PageQuery), found.total, found.behind, kind)
    return reply_page(request, found.items, page)


@routes.get("/api/admin/users")
@docs(tags=TAGS, summary="All accounts, newest first")
@querystring_schema(PageQuery)
@response_schema(list[AdminUserOut])
async def list_users(request: web.Request) -> web.Response:
    """With their standing."""
    approvals = services(request).accounts.approvals
    return listed(request, await approvals.users(caller(request).user_id, window(request, ALL)), ALL)


@routes.get("/api/admin/users/pending")
@docs(tags=TAGS, summary="Accounts that wait for a decision")
@querystring_schema(PageQuery)
@response_schema(list[AdminUserOut])
async def list_pending(request: web.Request) -> web.Response:
    """In the order in which they came."""
    approvals = services(request).accounts.approvals
    found = await approvals.pending(caller(request).user_id, window(request, PENDING))
    return listed(request, found, PENDING)


@routes.post("/api/admin/users/{id}/approve")
@docs(tags=TAGS, summary="Let somebody take part")
@response_schema(AdminUserOut)
async def approve(request: web.Request) -> web.Response:
    """Each account is decided on once."""
    approvals = services(request).accounts.approvals
    decided = await approvals.decide(caller(request).user_id, path_id(request, "id"), "approve")
    return reply(decided, message="Approved")


@routes.post("/api/admin/users/{id}/reject")
@docs(tags=TAGS, summary="Turn somebody down")
@response_schema(AdminUserOut)
async def reject(request: web.Request) -> web.Response:
    """Each account is decided on once."""
    approvals = services(request).accounts.approvals
    decided = await approvals.decide(caller(request).user_id, path_id(request, "id"), "reject")
    return reply(decided, message="Rejected")
