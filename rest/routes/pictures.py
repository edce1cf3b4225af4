"""The meetup app's pictures of people."""

from collections.abc import AsyncIterator

from aiohttp import web

from realtime.features.media.schemas.meetup import (
    PictureAnswer,
    PictureIn,
    PictureOut,
    PicturesAnswer,
    PicturesOfAnswer,
    PicturesOfIn,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, response_schema
from rest.reply import caller, path_id, reply, services
from rest.routes.media import send_media
from rest.uploads import UploadForm, charge

routes = web.RouteTableDef()

TAGS = ["meetup"]


@routes.post("/api/upload_user_image/")
@docs(tags=TAGS, summary="Upload a picture of oneself", verb=Verb.OWN, unhurried=True)
@response_schema(PictureOut, 201, top=PictureAnswer)
async def upload_user_image(request: web.Request) -> web.Response:
    """Multipart: `username` (the caller), `image`, `image_type`, `is_primary`, `caption`; at most 10 MB.

    The first picture is the primary one, whatever is said of it.
    """
    charge(request)
    media, owner = services(request).media, caller(request).user_id
    most = services(request).settings.media.image_bytes
    form = UploadForm(request, "image", most, PictureIn.model_validate)

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in form.chunks():
            yield chunk
        await media.pictures.require_self(owner, form.fields["username"])

    picture = await media.pictures.add(owner, chunks(), most, lambda: PictureIn.model_validate(form.fields))
    return reply(picture, status=201, message="Uploaded", top={"image": picture})


@routes.get("/api/user_images/{username}/")
@docs(tags=TAGS, summary="Somebody's pictures, newest first", verb=Verb.SEE_PROFILE)
@response_schema(list[PictureOut], top=PicturesAnswer)
async def list_user_images(request: web.Request) -> web.Response:
    """`profile` ones are for everybody; the rest, as that person's privacy has it."""
    found = await services(request).media.pictures.of_person(
        caller(request).user_id, request.match_info["username"]
    )
    return reply(found, top={"images": found, "count": len(found)})


@routes.post("/api/multiple_user_images/")
@docs(tags=TAGS, summary="The pictures of many people", verb=Verb.SEE_PROFILE)
@json_schema(PicturesOfIn)
@response_schema(PicturesOfAnswer, top=PicturesOfAnswer)
async def list_many_images(request: web.Request) -> web.Response:
    """By username; of who is absent there are none."""
    names = body(request, PicturesOfIn).usernames
    found = await services(request).media.pictures.of_people(caller(request).user_id, names)
    return reply({"images": found}, top={"images": found})


@routes.post("/api/user_image/{id}/set_primary/")
@docs(tags=TAGS, summary="Make a picture the primary one", verb=Verb.OWN)
@response_schema(PictureOut, top=PictureAnswer)
async def set_primary(request: web.Request) -> web.Response:
    """Exactly one is, always."""
    pictures = services(request).media.pictures
    picture = await pictures.make_primary(caller(request).user_id, path_id(request, "id"))
    return reply(picture, message="Primary", top={"image": picture})


@routes.post("/api/user_image/{id}/delete/")
@docs(tags=TAGS, summary="Remove a picture", verb=Verb.OWN)
@response_schema(None)
async def post_delete_image(request: web.Request) -> web.Response:
    """The newest of the others succeeds a primary one."""
    return await _delete(request)


@routes.delete("/api/user_image/{id}/delete/")
@docs(tags=TAGS, summary="Remove a picture", verb=Verb.OWN)
@response_schema(None)
async def delete_image(request: web.Request) -> web.Response:
    """The same as by POST."""
    return await _delete(request)


async def _delete(request: web.Request) -> web.Response:
    await services(request).media.pictures.remove(caller(request).user_id, path_id(request, "id"))
    return reply(message="Deleted")


@routes.get("/api/user_image/{id}/serve/")
@docs(tags=TAGS, summary="The bytes of a picture", verb=Verb.SEE_MEDIA, public=True)
@response_schema(bytes, content_type="image/jpeg")
async def serve_image(request: web.Request) -> web.StreamResponse:
    """As `/api/media/{fileId}` sends them."""
    media_id = await services(request).media.pictures.media_of(path_id(request, "id"))
    return await send_media(request, media_id)
