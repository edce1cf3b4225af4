"""Who is online, for those who may know it."""

from aiohttp import web

from realtime.features.presence.schemas import (
    PresenceModeIn,
    PresenceModeOut,
    PresenceQueryIn,
    PresenceStatesOut,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import caller, reply, services

routes = web.RouteTableDef()

TAGS = ["presence"]


@routes.get("/api/presence")
@docs(tags=TAGS, summary="Which of some people are online", verb=Verb.SEE_PRESENCE)
@querystring_schema(PresenceQueryIn)
@response_schema(PresenceStatesOut)
async def get_presence(request: web.Request) -> web.Response:
    """The same as the event `presence_query`; give `userIds` once for each person."""
    wanted = query(request, PresenceQueryIn).user_ids
    return reply(await services(request).presence.query(caller(request).user_id, wanted))


@routes.put("/api/presence")
@docs(tags=TAGS, summary="Become invisible, or visible again", verb=Verb.OWN)
@json_schema(PresenceModeIn)
@response_schema(PresenceModeOut)
async def set_presence(request: web.Request) -> web.Response:
    """The same as the event `presence_set`."""
    mode = body(request, PresenceModeIn).mode
    await services(request).presence.set_mode(caller(request).user_id, mode)
    return reply(PresenceModeOut(mode=mode))
