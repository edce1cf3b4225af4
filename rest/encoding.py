"""Entity tags and compression: an answer is sent only when needed, and small when that is wanted."""

import asyncio
import zlib
from hashlib import blake2b

from aiohttp import web

COMPRESS_FROM = 1024
OFF_LOOP_FROM = 64 * 1024
LEVEL = 5
CODINGS = {"gzip": 31, "deflate": 15}
"""Codings we speak, best first, and zlib's name for them."""
_TEXTUAL = ("text/", "application/json", "application/javascript", "application/manifest", "image/svg+xml")


async def finish(request: web.Request, response: web.Response) -> web.Response:
    """Tag the answer of a GET, leave it out when the client has it, compress it when asked to."""
    body = response.body
    if not isinstance(body, bytes):
        return response
    compressible = len(body) >= COMPRESS_FROM and _is_textual(response)
    coding = _coding(request.headers.get("Accept-Encoding", "")) if compressible else None
    if compressible:
        response.headers.add("Vary", "Accept-Encoding")
    if request.method in ("GET", "HEAD") and response.status == 200 and "ETag" not in response.headers:
        tag = blake2b(body, digest_size=16).hexdigest()
        response.headers["ETag"] = f'"{tag}-{coding}"' if coding else f'"{tag}"'
        if _has(request.headers.get("If-None-Match", ""), tag):
            return _not_modified(response)
    if coding is not None:
        response.body = await _compressed(body, coding)
        response.headers["Content-Encoding"] = coding
    return response


def _is_textual(response: web.Response) -> bool:
    if "Content-Encoding" in response.headers:
        return False
    return response.content_type.startswith(_TEXTUAL) or response.content_type.endswith("+json")


def _coding(accepted: str) -> str | None:
    """The best coding the client accepts (RFC 9110, 12.5.3); None for plain."""
    wanted: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        wanted[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return next((coding for coding in CODINGS if wanted.get(coding, wanted.get("*", False))), None)


def _has(given: str, tag: str) -> bool:
    """Whether `If-None-Match` names this content, in any coding."""
    if given.strip() == "*":
        return True
    tags = (part.strip().removeprefix("W/").strip('"') for part in given.split(","))
    return any(part == tag or part.partition("-")[0] == tag for part in tags)


def _not_modified(response: web.Response) -> web.Response:
    kept = ("ETag", "Cache-Control", "Vary", "Content-Security-Policy")
    headers = [(name, value) for name, value in response.headers.items() if name in kept]
    return web.Response(status=304, headers=headers)


async def _compressed(body: bytes, coding: str) -> bytes:
    if len(body) >= OFF_LOOP_FROM:
        return await asyncio.to_thread(_compress, body, coding)
    return _compress(body, coding)


def _compress(body: bytes, coding: str) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, CODINGS[coding])
    return packer.compress(body) + packer.flush()
