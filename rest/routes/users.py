"""People: profiles, and finding them."""

from aiohttp import web

from realtime.features.accounts.schemas.common import Window
from realtime.features.accounts.schemas.users import (
    OwnProfileOut,
    PrivateProfileOut,
    ProfileIn,
    ProfileOut,
    SearchIn,
    UserCard,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

TAGS = ["users"]


class SearchQuery(PageQuery, SearchIn):
    """Words to look for, and which part of what is found."""


async def found_people(request: web.Request, wanted: SearchQuery) -> web.Response:
    """The answer with people who fit the words."""
    kind = f"users:{wanted.q}"
    window = Window(wanted.limit, wanted.offset, wanted.position(request, kind))
    found = await services(request).search.people(caller(request).user_id, wanted.q, window)
    return reply_page(request, found.items, Page(wanted, found.total, found.behind, kind))


@routes.get("/api/users/search")
@docs(tags=TAGS, summary="Find people by name, handle or interests", verb=Verb.SEARCH)
@querystring_schema(SearchQuery)
@response_schema(list[UserCard])
async def search_users(request: web.Request) -> web.Response:
    """Parts of words in any script; every word must be there. Best first: see `/api/search`."""
    return await found_people(request, query(request, SearchQuery))


@routes.get("/api/users/{userId}")
@docs(tags=TAGS, summary="A profile as the caller may see it", verb=Verb.SEE_PROFILE)
@response_schema(OwnProfileOut | ProfileOut | PrivateProfileOut)
async def get_user(request: web.Request) -> web.Response:
    """Whoever is blocked, either way, is not found."""
    profiles = services(request).profiles
    return reply(await profiles.show(caller(request).user_id, path_id(request, "userId")))


@routes.patch("/api/users/{userId}/profile")
@docs(tags=TAGS, summary="Change one's own profile", verb=Verb.OWN)
@json_schema(ProfileIn)
@response_schema(OwnProfileOut)
async def change_profile(request: web.Request) -> web.Response:
    """What is not named stays. A handle can be changed once in 7 days."""
    user_id = path_id(request, "userId")
    changed = await services(request).profiles.change(
        caller(request).user_id, user_id, body(request, ProfileIn)
    )
    return reply(changed, message="Profile changed")
