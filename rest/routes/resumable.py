"""Uploads that survive a bad line: tus 1.0 (tus.io), core protocol, creation, expiration and termination."""

from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from common.errors import AppError, Invalid
from realtime.features.media.schemas import ArrivingOut
from realtime.policy import Verb
from rest.openapi import docs, response_schema
from rest.reply import caller, path_id, reply, services
from rest.uploads import charge, raw_body
from rest.validation import UnsupportedType

routes = web.RouteTableDef()

TAGS = ["media"]
VERSION = "1.0.0"
PIECE_TYPE = "application/offset+octet-stream"
LONGEST_METADATA = 4096


class OtherProtocol(AppError):
    code, status, text = "tus_version", 412, f"Send Tus-Resumable: {VERSION}."


@routes.post("/api/uploads")
@docs(tags=TAGS, summary="Announce a resumable upload", verb=Verb.OWN)
@response_schema(ArrivingOut, 201)
async def announce(request: web.Request) -> web.Response:
    """`Upload-Length` says how many bytes. The answer's `Location` takes them, by one PATCH or many."""
    _require_tus(request)
    charge(request)
    metadata = request.headers.get("Upload-Metadata", "")
    if len(metadata) > LONGEST_METADATA or not metadata.isascii():
        raise Invalid.field("Upload-Metadata", f"is at most {LONGEST_METADATA:,} characters of ASCII")
    arrivals = services(request).media.arrivals
    found = await arrivals.begin(caller(request).user_id, _number(request, "Upload-Length"), metadata)
    answer = reply(found, status=201, message="Go on")
    answer.headers["Location"] = f"/api/uploads/{found.id}"
    return _dressed(answer, found)


@routes.get("/api/uploads/{id}")
@docs(tags=TAGS, summary="How far an upload is", verb=Verb.OWN)
@response_schema(ArrivingOut)
async def how_far(request: web.Request) -> web.Response:
    """HEAD is what tus asks; `media` is what has become of it once all of it is there."""
    found = await services(request).media.arrivals.show(caller(request).user_id, path_id(request, "id"))
    answer = _dressed(reply(found), found)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@routes.patch("/api/uploads/{id}")
@docs(tags=TAGS, summary="Send bytes of an upload", verb=Verb.OWN, unhurried=True)
@response_schema(bytes, 204, content_type=PIECE_TYPE, description="They are safe.")
async def send_piece(request: web.Request) -> web.Response:
    """From `Upload-Offset` on. What came before a connection broke counts: ask how far it is, go on there.

    The last piece also takes the upload in, and may be refused as `/api/upload` refuses; it answers with
    `Content-Location`.
    """
    _require_tus(request)
    if request.content_type != PIECE_TYPE:
        raise UnsupportedType
    media, owner, upload = services(request).media, caller(request).user_id, path_id(request, "id")
    chunks = raw_body(request, services(request).settings.media.upload_bytes)
    taken = await media.arrivals.append(owner, upload, _number(request, "Upload-Offset"), chunks)
    answer = web.Response(status=204)
    if taken is not None:
        answer.headers["Content-Location"] = taken.url
    return _dressed(answer, await media.arrivals.show(owner, upload))


@routes.delete("/api/uploads/{id}")
@docs(tags=TAGS, summary="Give an upload up", verb=Verb.OWN)
@response_schema(bytes, 204, content_type=PIECE_TYPE, description="It is gone.")
async def give_up(request: web.Request) -> web.Response:
    """What became of one that was finished stays."""
    _require_tus(request)
    await services(request).media.arrivals.abandon(caller(request).user_id, path_id(request, "id"))
    return web.Response(status=204, headers={"Tus-Resumable": VERSION})


@routes.options("/api/uploads")
@docs(tags=TAGS, summary="What this server knows of tus", verb=Verb.OPEN)
@response_schema(bytes, 204, content_type=PIECE_TYPE, description="In the headers.")
async def abilities(request: web.Request) -> web.Response:
    """`Tus-Version`, `Tus-Extension`, `Tus-Max-Size`."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,expiration,termination",
        "Tus-Max-Size": str(services(request).settings.media.upload_bytes),
    }
    return web.Response(status=204, headers=headers)


def _require_tus(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise OtherProtocol


def _number(request: web.Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Invalid.field(name, "is a whole number")
    return int(text)


def _dressed(answer: web.Response, found: ArrivingOut) -> web.Response:
    """The headers that tus clients read."""
    answer.headers["Tus-Resumable"] = VERSION
    answer.headers["Upload-Offset"] = str(found.offset)
    answer.headers["Upload-Length"] = str(found.length)
    answer.headers["Upload-Expires"] = _http_date(found.expires_at)
    if found.metadata:
        answer.headers["Upload-Metadata"] = found.metadata
    return answer


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
