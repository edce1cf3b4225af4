"""One's own account: a copy of what is stored about oneself, and leaving."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from realtime.features.personal.schemas import DeletionIn, DeletionOut, ExportOut, RestoreIn
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, response_schema
from rest.reply import address, caller, reply, services

routes = web.RouteTableDef()

TAGS = ["account"]
STALL_SECONDS = 60.0
"""A reader who takes nothing for so long is cut off."""


@routes.post("/api/account/export")
@docs(tags=TAGS, summary="Have a copy made of what is stored about oneself", verb=Verb.OWN)
@response_schema(ExportOut, 202)
async def ask_export(request: web.Request) -> web.Response:
    """While there is a recent one, or one is being made, this answers that one."""
    export = await services(request).personal.exports.ask(caller(request).user_id)
    return reply(export, status=202, message="Ready" if export.state == "ready" else "Being made")


@routes.get("/api/account/export")
@docs(tags=TAGS, summary="How far one's copy is", verb=Verb.OWN)
@response_schema(ExportOut)
async def show_export(request: web.Request) -> web.Response:
    """`ready` until `expiresAt`."""
    return reply(await services(request).personal.exports.show(caller(request).user_id))


@routes.get("/api/account/export/download")
@docs(tags=TAGS, summary="Fetch one's copy", verb=Verb.OWN)
@response_schema(bytes, content_type="application/zip")
async def download_export(request: web.Request) -> web.Response:
    """A ZIP file of JSON files."""
    found = await services(request).personal.exports.fetch(caller(request).user_id)
    headers = {
        "Content-Type": "application/zip",
        "Content-Length": str(found.size),
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "Cache-Control": "no-store",
    }
    if request.method == "HEAD":
        return web.Response(headers=headers)
    return web.Response(body=_watched(request, found.pieces), headers=headers)


async def _watched(request: web.Request, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces; a connection on which one is not taken in time is closed."""
    loop = asyncio.get_running_loop()
    async for piece in pieces:
        transport = request.transport
        stalled = loop.call_later(STALL_SECONDS, transport.abort) if transport is not None else None
        try:
            yield piece
        finally:
            if stalled is not None:
                stalled.cancel()


@routes.post("/api/account/deletion")
@docs(tags=TAGS, summary="Have one's account deleted", verb=Verb.OWN)
@json_schema(DeletionIn)
@response_schema(DeletionOut)
async def delete_account(request: web.Request) -> web.Response:
    """Ends every log-in; the account is absent for everybody at once, and erased at `deletesAt`.

    Until then, logging in answers 403 `account_leaving` with a `restore_token` to take this back.
    """
    deletions = services(request).personal.deletions
    wanted = body(request, DeletionIn)
    found = await deletions.delete_own(caller(request).user_id, wanted, address(request))
    return reply(found, message="Goodbye")


@routes.post("/api/account/deletion/cancel")
@docs(tags=TAGS, summary="Stay after all", verb=Verb.OPEN)
@json_schema(RestoreIn)
@response_schema(None)
async def take_back_deletion(request: web.Request) -> web.Response:
    """With the `restore_token` that logging in has answered with, good for 15 minutes. Then log in again."""
    await services(request).personal.deletions.take_back(body(request, RestoreIn))
    return reply(message="Welcome back")
