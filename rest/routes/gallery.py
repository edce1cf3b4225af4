"""The gallery app's uploads: by form, or straight into the object store."""

from datetime import datetime

from aiohttp import web
from pydantic import Field

from realtime.channels import Wire
from realtime.features.media.schemas.gallery import (
    CategoryIn,
    GalleryImageOut,
    KeptOut,
    KeyIn,
    PresignedOut,
    PresignedQuery,
)
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services
from rest.uploads import UploadForm, charge, raw_body

routes = web.RouteTableDef()

TAGS = ["gallery"]
KIND = "gallery"


class DirectQuery(Wire):
    """The signed part of an address of ours."""

    signature: str = Field(min_length=1, max_length=100)


@routes.post("/api/upload/image")
@docs(tags=TAGS, summary="Upload an image", verb=Verb.OWN, unhurried=True)
@response_schema(KeptOut, 201, top=KeptOut)
async def upload_image(request: web.Request) -> web.Response:
    """Multipart: `file`, and `category` if it has one; at most 10 MB."""
    charge(request)
    most = services(request).settings.media.image_bytes
    form = UploadForm(request, "file", most, CategoryIn.model_validate)
    kept = await services(request).media.gallery.upload(
        caller(request).user_id, form.chunks(), lambda: CategoryIn.model_validate(form.fields).category
    )
    return reply(kept, status=201, message="Uploaded", top=kept.model_dump())


@routes.get("/api/upload/presigned-url")
@docs(tags=TAGS, summary="Where to put an image", verb=Verb.OWN)
@querystring_schema(PresignedQuery)
@response_schema(PresignedOut, top=PresignedOut)
async def presign(request: web.Request) -> web.Response:
    """PUT the bytes there with the headers of the answer, then POST its `key` to `/api/upload/complete`."""
    charge(request)
    gallery = services(request).media.gallery
    found = await gallery.presign(caller(request).user_id, query(request, PresignedQuery))
    return reply(found, top=found.model_dump())


@routes.put("/api/upload/direct/{id}")
@docs(tags=TAGS, summary="Put an image where a signed address says", verb=Verb.OPEN, unhurried=True)
@querystring_schema(DirectQuery)
@response_schema(None)
async def put_direct(request: web.Request) -> web.Response:
    """Where there is no object store to take it. Once, and of the type and size that were announced."""
    arrivals, signature = services(request).media.arrivals, query(request, DirectQuery).signature
    arriving = await arrivals.expected(path_id(request, "id"), signature, request.content_type)
    await arrivals.take(arriving, raw_body(request, services(request).settings.media.image_bytes))
    return reply(message="Arrived")


@routes.post("/api/upload/complete")
@docs(tags=TAGS, summary="Have looked at what was put", verb=Verb.OWN, unhurried=True)
@json_schema(KeyIn)
@response_schema(KeptOut, top=KeptOut)
async def complete(request: web.Request) -> web.Response:
    """It is made anew like every upload; its key says what it has become. Again, the same answer."""
    kept = await services(request).media.gallery.complete(caller(request).user_id, body(request, KeyIn).key)
    return reply(kept, message="Uploaded", top=kept.model_dump())


@routes.get("/api/upload/images")
@docs(tags=TAGS, summary="One's images, newest first", verb=Verb.OWN)
@querystring_schema(PageQuery)
@response_schema(list[GalleryImageOut])
async def list_images(request: web.Request) -> web.Response:
    """Administrators see everybody's."""
    wanted = query(request, PageQuery)
    behind = wanted.position(request, KIND)
    before = (datetime.fromisoformat(behind[0]), behind[1]) if behind else None
    items, total, following = await services(request).media.gallery.page(
        caller(request).user_id, wanted.limit, before, 0 if before else wanted.offset
    )
    mark = (following[0].isoformat(), following[1]) if following else None
    return reply_page(request, items, Page(wanted, total, mark, KIND))


@routes.delete("/api/upload/image/{key:.+}")
@docs(tags=TAGS, summary="Delete an image by its key", verb=Verb.OWN)
@response_schema(None)
async def delete_image(request: web.Request) -> web.Response:
    """One's own; administrators may delete anybody's."""
    await services(request).media.gallery.delete(caller(request).user_id, request.match_info["key"])
    return reply(message="Deleted")
