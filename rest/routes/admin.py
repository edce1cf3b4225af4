"""For administrators: accounts, deciding on those that wait, and what was done with them."""

from aiohttp import web

from realtime.features.accounts.schemas.admin import (
    AdminUserIn,
    AdminUserOut,
    AuditOut,
    AuditQuery,
    UsersQuery,
)
from realtime.features.accounts.schemas.common import Rows, Window
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS = ["admin"]
PENDING = "admin-users-pending"


class UsersPage(PageQuery, UsersQuery):
    """Which accounts, and which part of them."""


class AuditPage(PageQuery, AuditQuery):
    """Which rows, and which part of them."""


def window(request: web.Request, wanted: PageQuery, kind: str) -> Window:
    """Which part of a list is asked for."""
    return Window(wanted.limit, wanted.offset, wanted.position(request, kind))


@routes.get("/api/admin/users")
@docs(tags=TAGS, summary="Accounts, newest first", verb=Verb.ADMINISTER)
@querystring_schema(UsersPage)
@response_schema(list[AdminUserOut])
async def list_users(request: web.Request) -> web.Response:
    """With their standing; `q` is an id, or how a handle or an e-mail address begins."""
    wanted, admin = query(request, UsersPage), caller(request).user_id
    sought, kind = (
        UsersQuery(standing=wanted.standing, q=wanted.q),
        f"admin-users:{wanted.standing}:{wanted.q}",
    )
    administration = services(request).accounts.administration
    found = await administration.users(admin, sought, window(request, wanted, kind))
    return reply_page(request, found.items, Page(wanted, found.total, found.behind, kind))


@routes.get("/api/admin/users/pending")
@docs(tags=TAGS, summary="Accounts that wait for a decision", verb=Verb.ADMINISTER)
@querystring_schema(PageQuery)
@response_schema(list[AdminUserOut])
async def list_pending(request: web.Request) -> web.Response:
    """In the order in which they came."""
    wanted, admin = query(request, PageQuery), caller(request).user_id
    administration = services(request).accounts.administration
    waiting = UsersQuery(standing="pending")
    found: Rows[AdminUserOut] = await administration.users(admin, waiting, window(request, wanted, PENDING))
    return reply_page(request, found.items, Page(wanted, found.total, found.behind, PENDING))


@routes.get("/api/admin/users/{id}")
@docs(tags=TAGS, summary="An account", verb=Verb.ADMINISTER)
@response_schema(AdminUserOut)
async def get_account(request: web.Request) -> web.Response:
    """Whatever its standing."""
    administration = services(request).accounts.administration
    return reply(await administration.show(caller(request).user_id, path_id(request, "id")))


@routes.put("/api/admin/users/{id}")
@docs(tags=TAGS, summary="Set roles, approval and certification", verb=Verb.ADMINISTER)
@json_schema(AdminUserIn)
@response_schema(AdminUserOut)
async def change_account(request: web.Request) -> web.Response:
    """What is not named stays. Somebody always remains who administers."""
    administration = services(request).accounts.administration
    user_id, wanted = path_id(request, "id"), body(request, AdminUserIn)
    changed = await administration.change(caller(request).user_id, user_id, wanted)
    return reply(changed, message="Account changed")


@routes.delete("/api/admin/users/{id}")
@docs(tags=TAGS, summary="Delete an account", verb=Verb.ADMINISTER)
@response_schema(AdminUserOut)
async def delete_account(request: web.Request) -> web.Response:
    """It is absent for everybody at once, and erased when the grace period is over."""
    administration = services(request).accounts.administration
    deleted = await administration.delete(caller(request).user_id, path_id(request, "id"))
    return reply(deleted, message="Account is being deleted")


@routes.post("/api/admin/users/{id}/approve")
@docs(tags=TAGS, summary="Let somebody take part", verb=Verb.ADMINISTER)
@response_schema(AdminUserOut)
async def approve(request: web.Request) -> web.Response:
    """Each account is decided on once."""
    administration = services(request).accounts.administration
    decided = await administration.decide(caller(request).user_id, path_id(request, "id"), "approve")
    return reply(decided, message="Approved")


@routes.post("/api/admin/users/{id}/reject")
@docs(tags=TAGS, summary="Turn somebody down", verb=Verb.ADMINISTER)
@response_schema(AdminUserOut)
async def reject(request: web.Request) -> web.Response:
    """Each account is decided on once."""
    administration = services(request).accounts.administration
    decided = await administration.decide(caller(request).user_id, path_id(request, "id"), "reject")
    return reply(decided, message="Rejected")


@routes.get("/api/admin/audit")
@docs(tags=TAGS, summary="What people with power did, newest first", verb=Verb.ADMINISTER)
@querystring_schema(AuditPage)
@response_schema(list[AuditOut])
async def list_audit(request: web.Request) -> web.Response:
    """Rows are added, never changed; each seals the one before it."""
    wanted, admin = query(request, AuditPage), caller(request).user_id
    sought = AuditQuery(**{name: getattr(wanted, name) for name in AuditQuery.model_fields})
    kind = f"audit:{sought.model_dump_json()}"
    found = await services(request).accounts.audit.page(admin, sought, window(request, wanted, kind))
    return reply_page(request, found.items, Page(wanted, found.total, found.behind, kind))
