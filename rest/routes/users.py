"""People: profiles."""

from aiohttp import web

from realtime.features.accounts.schemas.users import (
    OwnProfileOut,
    PrivateProfileOut,
    ProfileIn,
    ProfileOut,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, response_schema
from rest.reply import caller, path_id, reply, services

routes = web.RouteTableDef()

TAGS = ["users"]


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
