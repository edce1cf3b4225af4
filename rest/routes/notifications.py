"""Notifications: what one is told, and what one wants to be told."""

from datetime import datetime

from aiohttp import web

from realtime.features.notifications.schemas import (
    NotificationOut,
    NotificationType,
    PreferencesIn,
    PreferencesOut,
    UnreadOut,
)
from realtime.features.notifications.service import Window
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS = ["notifications"]


class NotificationsQuery(PageQuery):
    """Only unread ones, or only those of one type."""

    unread: bool = False
    type: NotificationType | None = None


@routes.get("/api/notifications")
@docs(tags=TAGS, summary="One's notifications, newest first", verb=Verb.OWN)
@querystring_schema(NotificationsQuery)
@response_schema(list[NotificationOut], top=UnreadOut)
async def list_notifications(request: web.Request) -> web.Response:
    """With the number of unread ones, whatever part of the list is asked for."""
    wanted = query(request, NotificationsQuery)
    kind = f"notifications:{wanted.unread}:{wanted.type}"
    behind = wanted.position(request, kind)
    window = Window(
        wanted.limit,
        before=(datetime.fromisoformat(behind[0]), behind[1]) if behind else None,
        skip=0 if behind else wanted.offset,
        unread=wanted.unread,
        type=wanted.type,
    )
    found = await services(request).notifications.page(caller(request).user_id, window)
    following = (found.next[0].isoformat(), found.next[1]) if found.next else None
    page = Page(wanted, found.total, following, kind)
    return reply_page(request, found.items, page, top=found.unread.model_dump(by_alias=True))


@routes.patch("/api/notifications/{id}/read")
@docs(tags=TAGS, summary="Mark a notification read", verb=Verb.OWN)
@response_schema(UnreadOut)
async def read_notification(request: web.Request) -> web.Response:
    """On all one's devices. Reading it again changes nothing."""
    found = await services(request).notifications.read(caller(request).user_id, path_id(request, "id"))
    return reply(found, message="Read")


@routes.post("/api/notifications/read-all")
@docs(tags=TAGS, summary="Mark all notifications read", verb=Verb.OWN)
@response_schema(UnreadOut)
async def read_all_notifications(request: web.Request) -> web.Response:
    """Those that there are now, on all one's devices."""
    return reply(await services(request).notifications.read_all(caller(request).user_id), message="Read")


@routes.delete("/api/notifications/{id}")
@docs(tags=TAGS, summary="Remove a notification", verb=Verb.OWN)
@response_schema(UnreadOut)
async def remove_notification(request: web.Request) -> web.Response:
    """From all one's devices. Should the same happen again, there will be a new one."""
    found = await services(request).notifications.remove(caller(request).user_id, path_id(request, "id"))
    return reply(found, message="Removed")


@routes.get("/api/notifications/preferences")
@docs(tags=TAGS, summary="What one wants to be told", verb=Verb.OWN)
@response_schema(PreferencesOut)
async def get_preferences(request: web.Request) -> web.Response:
    """For every type whether it is listed and pushed, and the quiet hours."""
    return reply(await services(request).notifications.preferences.of(caller(request).user_id))


@routes.patch("/api/notifications/preferences")
@docs(tags=TAGS, summary="Choose what one wants to be told", verb=Verb.OWN)
@json_schema(PreferencesIn)
@response_schema(PreferencesOut)
async def change_preferences(request: web.Request) -> web.Response:
    """What is not listed is not told at all. In quiet hours everything is told, and nothing is pushed."""
    wanted = body(request, PreferencesIn)
    found = await services(request).notifications.preferences.change(caller(request).user_id, wanted)
    return reply(found, message="Saved")
