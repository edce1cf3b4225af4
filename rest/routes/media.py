"""Uploads: taken in, listed, shown, deleted."""

from datetime import datetime
from typing import Literal

from aiohttp import web
from pydantic import Field

from common.ids import Id
from realtime.channels import Wire
from realtime.features.media.schemas import MediaOut, SignedOut, Variant
from realtime.features.media.service.delivery import Served, Wanted
from realtime.features.media.service.uploads import Incoming
from realtime.policy import Verb
from rest.downloads import Download, send
from rest.openapi import docs, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, maybe_caller, path_id, reply, reply_page, services
from rest.uploads import UploadForm, charge

routes = web.RouteTableDef()

TAGS = ["media"]
KIND = "media"


class UploadOut(Wire):
    """What stands at the top level, too."""

    url: str
    filename: str
    content_type: str = Field(alias="content_type")
    size: int
    storage_type: Literal["mongodb", "disk", "s3"] = Field(alias="storage_type")


class MediaQuery(Wire):
    """Which of an upload's files; and, in place of a token, a signed address."""

    variant: Variant | None = None
    viewer: Id | None = None
    expires: int | None = Field(default=None, ge=0, le=2**40)
    signature: str | None = Field(default=None, max_length=100)


@routes.post("/api/upload")
@docs(tags=TAGS, summary="Upload an image or a video", verb=Verb.OWN, unhurried=True)
@response_schema(MediaOut, 201, top=UploadOut)
async def upload(request: web.Request) -> web.Response:
    """Multipart, one file named `file`: JPEG, PNG, GIF, WebP, HEIC; MP4, QuickTime, AVI, WebM, MPEG.

    Images are decoded, turned upright, freed of metadata and made again; what they come out as may be another
    format. Videos play at once if they can; `media_ready` says that all sizes are there.
    """
    charge(request)
    most = services(request).settings.media.upload_bytes
    form = UploadForm(request, "file", most)
    media = await services(request).media.uploads.receive(
        caller(request).user_id, Incoming(form.chunks(), most)
    )
    top = UploadOut(**media.model_dump(include=set(UploadOut.model_fields)))
    return reply(media, status=201, message="Uploaded", top=top.model_dump(by_alias=True))


@routes.get("/api/media")
@docs(tags=TAGS, summary="One's uploads, newest first", verb=Verb.OWN)
@querystring_schema(PageQuery)
@response_schema(list[MediaOut])
async def list_media(request: web.Request) -> web.Response:
    """With their state."""
    wanted, owner = query(request, PageQuery), caller(request).user_id
    behind = wanted.position(request, KIND)
    before = (datetime.fromisoformat(behind[0]), behind[1]) if behind else None
    library = services(request).media.library
    items, following = await library.page(owner, wanted.limit, before, 0 if before else wanted.offset)
    mark = (following[0].isoformat(), following[1]) if following else None
    return reply_page(request, items, Page(wanted, await library.count(owner), mark, KIND))


@routes.get("/api/media/{fileId}")
@docs(tags=TAGS, summary="The bytes of an upload", verb=Verb.SEE_MEDIA, public=True)
@querystring_schema(MediaQuery)
@response_schema(bytes, content_type="application/octet-stream")
async def get_media(request: web.Request) -> web.StreamResponse:
    """`Range`, `If-Range` and `If-None-Match` are heeded. Who may not see it is told that there is none.

    Avatars are for everybody. The rest needs a token, or an address from `/api/media/{fileId}/url`.
    """
    asked, media_id = query(request, MediaQuery), path_id(request, "fileId")
    return await send_media(request, media_id, asked)


async def send_media(
    request: web.Request, media_id: Id, asked: MediaQuery | None = None
) -> web.StreamResponse:
    """The file of an upload, for whoever asks."""
    identity, media, asked = maybe_caller(request), services(request).media, asked or MediaQuery()
    viewer, signed = identity.user_id if identity is not None else None, ""
    if asked.viewer is not None and asked.expires is not None and asked.signature is not None:
        viewer = media.audience.signed_viewer(media_id, asked.viewer, asked.expires, asked.signature)
        signed = f"viewer={asked.viewer}&expires={asked.expires}&signature={asked.signature}"
    wanted = Wanted(asked.variant or "", _takes_avif(request), signed)
    return await send(request, _download(await media.delivery.find(viewer, media_id, wanted)))


def _download(served: Served) -> Download:
    return Download(
        served.size,
        served.etag,
        served.content_type,
        served.filename,
        "public, max-age=31536000, immutable" if served.is_public else "private, no-cache",
        served.pieces,
        served.path,
        "Accept" if served.varies else "",
    )


def _takes_avif(request: web.Request) -> bool:
    return "image/avif" in request.headers.get("Accept", "")


@routes.get("/api/media/{fileId}/url")
@docs(tags=TAGS, summary="An address that needs no token", verb=Verb.SEE_MEDIA)
@response_schema(SignedOut)
async def sign_media(request: web.Request) -> web.Response:
    """For `<img>` and `<video>`. It holds for ten minutes, and only while the caller may see the upload."""
    audience = services(request).media.audience
    return reply(await audience.sign(caller(request).user_id, path_id(request, "fileId")))


@routes.delete("/api/media/{fileId}")
@docs(tags=TAGS, summary="Delete one's own upload", verb=Verb.OWN)
@response_schema(None)
async def delete_media(request: web.Request) -> web.Response:
    """What refers to it shows nothing any more."""
    await services(request).media.library.delete(caller(request).user_id, path_id(request, "fileId"))
    return reply(message="Deleted")
