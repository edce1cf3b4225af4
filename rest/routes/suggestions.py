"""Whom somebody may want to know."""

from collections.abc import Sequence

from aiohttp import web

from realtime.features.suggestions.schemas import SuggestionOut, Window
from realtime.policy import Verb
from rest.openapi import docs, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS = ["friends"]
LIST = "suggestions"


@routes.get("/api/friends/suggestions")
@docs(tags=TAGS, summary="People one may want to know, and why", verb=Verb.SEARCH)
@querystring_schema(PageQuery)
@response_schema(list[SuggestionOut])
async def list_suggestions(request: web.Request) -> web.Response:
    """At most 100, by friends in common, shared interests (rare ones weigh more) and the same university.

    The list is made anew every ten minutes; who became a friend, asks, was blocked or dismissed is not in it.
    """
    wanted = query(request, PageQuery)
    behind = wanted.position(request, LIST)
    after = (float(behind[0]), behind[1]) if behind else None
    found = await services(request).suggestions.of(
        caller(request).user_id, Window(wanted.limit, wanted.offset, after)
    )
    following: Sequence[str] | None = (repr(found.next[0]), found.next[1]) if found.next else None
    return reply_page(request, found.items, Page(wanted, found.total, following, LIST))


@routes.delete("/api/friends/suggestions/{userId}")
@docs(tags=TAGS, summary="Do not suggest somebody any more", verb=Verb.SEARCH)
@response_schema(None)
async def dismiss_suggestion(request: web.Request) -> web.Response:
    """Whether they were suggested or not; saying it again is fine. The latest 2,000 are remembered."""
    await services(request).suggestions.dismiss(caller(request).user_id, path_id(request, "userId"))
    return reply(None, message="Not suggested any more")
