"""Friends, requests and blocks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from realtime.features.friends.schemas import (
    BlockedOut,
    FriendIn,
    FriendNamesOut,
    FriendOut,
    MutualOut,
    NamesIn,
    RelationOut,
    RequestOut,
    RequestsQuery,
    Rows,
    Window,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS = ["friends"]


class RequestsPage(PageQuery, RequestsQuery):
    """Whose requests, and which part of them."""


def window(request: web.Request, wanted: PageQuery, kind: str) -> Window:
    """The part of a list that a query asks for."""
    behind = wanted.position(request, kind)
    if behind is None:
        return Window(wanted.limit, skip=wanted.offset)
    return Window(wanted.limit, before=(datetime.fromisoformat(behind[0]), behind[1]))


def listed(request: web.Request, rows: Rows[Any], wanted: PageQuery, kind: str) -> web.Response:
    """The answer with a part of a list."""
    behind: Sequence[str] | None = (rows.next[0].isoformat(), rows.next[1]) if rows.next else None
    return reply_page(request, rows.items, Page(wanted, rows.total, behind, kind))


# -- requests


@routes.post("/api/friends/request")
@docs(tags=TAGS, summary="Ask somebody to be friends", verb=Verb.BEFRIEND)
@json_schema(FriendIn)
@response_schema(RelationOut)
async def request_friend(request: web.Request) -> web.Response:
    """When they have asked already, this makes friends. Asking again changes nothing."""
    found = await services(request).friends.request(caller(request).user_id, body(request, FriendIn).other)
    return reply(found, message="Friends" if found.state == "friends" else "Request sent")


@routes.post("/api/friends/accept")
@docs(tags=TAGS, summary="Say yes to a request", verb=Verb.BEFRIEND)
@json_schema(FriendIn)
@response_schema(RelationOut)
async def accept_friend(request: web.Request) -> web.Response:
    """Accepting again changes nothing."""
    found = await services(request).friends.accept(caller(request).user_id, body(request, FriendIn).other)
    return reply(found, message="Friends")


@routes.post("/api/friends/reject")
@docs(tags=TAGS, summary="Say no to a request", verb=Verb.BEFRIEND)
@json_schema(FriendIn)
@response_schema(RelationOut)
async def reject_friend(request: web.Request) -> web.Response:
    """The other person hears that the request is no more."""
    found = await services(request).friends.reject(caller(request).user_id, body(request, FriendIn).other)
    return reply(found, message="Request rejected")


@routes.post("/api/friends/cancel")
@docs(tags=TAGS, summary="Take one's own request back", verb=Verb.BEFRIEND)
@json_schema(FriendIn)
@response_schema(RelationOut)
async def cancel_request(request: web.Request) -> web.Response:
    """Only while it waits for an answer."""
    found = await services(request).friends.cancel(caller(request).user_id, body(request, FriendIn).other)
    return reply(found, message="Request taken back")


@routes.get("/api/friends/requests")
@docs(tags=TAGS, summary="Requests that wait for an answer, newest first", verb=Verb.OWN)
@querystring_schema(RequestsPage)
@response_schema(list[RequestOut])
async def list_requests(request: web.Request) -> web.Response:
    """`incoming` ones wait for the caller's answer, `outgoing` ones for that of others."""
    wanted = query(request, RequestsPage)
    kind, part = f"requests:{wanted.direction}", wanted.direction
    rows = await services(request).friends.requests(
        caller(request).user_id, part, window(request, wanted, kind)
    )
    return listed(request, rows, wanted, kind)


# -- friends


@routes.get("/api/friends/{userId}")
@docs(tags=TAGS, summary="Somebody's friends, newest first", verb=Verb.SEE_FRIENDS)
@querystring_schema(PageQuery)
@response_schema(list[FriendOut])
async def list_friends(request: web.Request) -> web.Response:
    """As far as that person's privacy shows them to the caller."""
    wanted, user_id = query(request, PageQuery), path_id(request, "userId")
    kind = f"friends:{user_id}"
    rows = await services(request).friends.friends_of(
        caller(request).user_id, user_id, window(request, wanted, kind)
    )
    return listed(request, rows, wanted, kind)


@routes.delete("/api/friends/{userId}")
@docs(tags=TAGS, summary="End a friendship", verb=Verb.BEFRIEND)
@response_schema(RelationOut)
async def remove_friend(request: web.Request) -> web.Response:
    """Both hear of it."""
    found = await services(request).friends.remove(caller(request).user_id, path_id(request, "userId"))
    return reply(found, message="Not friends any more")


@routes.get("/api/friends/mutual/{userId}")
@docs(tags=TAGS, summary="Friends that the caller and somebody share", verb=Verb.SEE_FRIENDS)
@response_schema(MutualOut)
async def mutual_friends(request: web.Request) -> web.Response:
    """How many, and at most 100 of them."""
    return reply(await services(request).friends.mutual(caller(request).user_id, path_id(request, "userId")))


# -- blocks


@routes.post("/api/friends/block")
@docs(tags=TAGS, summary="Have nothing to do with somebody any more", verb=Verb.BLOCK)
@json_schema(FriendIn)
@response_schema(RelationOut)
async def block_person(request: web.Request) -> web.Response:
    """Ends friendship and requests. To each other, both are from now on as if absent."""
    found = await services(request).friends.block(caller(request).user_id, body(request, FriendIn).other)
    return reply(found, message="Blocked")


@routes.post("/api/friends/unblock")
@docs(tags=TAGS, summary="Take a block back", verb=Verb.UNBLOCK)
@json_schema(FriendIn)
@response_schema(RelationOut)
async def unblock_person(request: web.Request) -> web.Response:
    """What the block has ended stays ended."""
    found = await services(request).friends.unblock(caller(request).user_id, body(request, FriendIn).other)
    return reply(found, message="Not blocked any more")


@routes.get("/api/friends/blocked")
@docs(tags=TAGS, summary="Whom the caller has blocked, newest first", verb=Verb.OWN)
@querystring_schema(PageQuery)
@response_schema(list[BlockedOut])
async def list_blocked(request: web.Request) -> web.Response:
    """Only the caller knows."""
    wanted, kind = query(request, PageQuery), "blocked"
    rows = await services(request).friends.blocked(caller(request).user_id, window(request, wanted, kind))
    return listed(request, rows, wanted, kind)


# -- the meetup app


@routes.post("/api/friend-requests/send/")
@docs(tags=["meetup"], summary="Ask somebody to be friends, by usernames", verb=Verb.BEFRIEND)
@json_schema(NamesIn)
@response_schema(RelationOut)
async def send_request_by_name(request: web.Request) -> web.Response:
    """`from` is the caller."""
    names = body(request, NamesIn)
    found = await services(request).friends.request_by_name(caller(request).user_id, names.asker, names.asked)
    return reply(found, message="Friends" if found.state == "friends" else "Request sent")


@routes.post("/api/friend-requests/accept/")
@docs(tags=["meetup"], summary="Say yes to a request, by usernames", verb=Verb.BEFRIEND)
@json_schema(NamesIn)
@response_schema(RelationOut)
async def accept_request_by_name(request: web.Request) -> web.Response:
    """`from` asked, `to` is the caller."""
    names = body(request, NamesIn)
    found = await services(request).friends.accept_by_name(caller(request).user_id, names.asker, names.asked)
    return reply(found, message="Friends")


@routes.get("/api/get_friends/{username}/")
@docs(tags=["meetup"], summary="Somebody's friends, by usernames", verb=Verb.SEE_FRIENDS)
@response_schema(FriendNamesOut, top=FriendNamesOut)
async def friend_names(request: web.Request) -> web.Response:
    """As far as that person's privacy shows them to the caller."""
    names = await services(request).friends.friend_names(
        caller(request).user_id, request.match_info["username"]
    )
    found = FriendNamesOut(friends=names)
    return reply(found, top=found.model_dump())
