"""`/docs`: the API documents and the pages that show them, with nothing from elsewhere."""

from functools import cache
from importlib import resources

from aiohttp import web

from common.errors import NotFound
from realtime.policy import Verb
from rest.manuals import MANUALS
from rest.openapi import docs, response_schema
from rest.operators import require_docs
from rest.render import template

routes = web.RouteTableDef()

TAGS = ["docs"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
OPENAPI, ASYNCAPI = "application/vnd.oai.openapi+json", "application/vnd.aai.asyncapi+json"
SWAGGER = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "application/javascript",
    "favicon-32x32.png": "image/png",
}
OURS = {"style.css": "text/css", "start.js": "application/javascript"}


def _answer(body: bytes, content_type: str) -> web.Response:
    charset = "utf-8" if content_type.startswith(("text/", "application/javascript")) else None
    headers = {"Content-Security-Policy": POLICY}
    return web.Response(body=body, content_type=content_type, charset=charset, headers=headers)


@cache
def _asset(name: str) -> bytes:
    if name in OURS:
        return template(name).encode()
    return resources.files("swagger_ui").joinpath("static", name).read_bytes()


@routes.get("/docs")
@docs(tags=TAGS, summary="The REST API as a page to read and try", verb=Verb.OPEN)
@response_schema(str, content_type="text/html")
async def openapi_page(request: web.Request) -> web.Response:
    """Swagger UI, served from here."""
    await require_docs(request)
    return _answer(template("openapi.html").encode(), "text/html")


@routes.get("/docs/realtime")
@docs(tags=TAGS, summary="Socket commands and publications as a page to read", verb=Verb.OPEN)
@response_schema(str, content_type="text/html")
async def realtime_page(request: web.Request) -> web.Response:
    """Plain HTML."""
    await require_docs(request)
    return _answer(await request.app[MANUALS].realtime_page(), "text/html")


@routes.get("/docs/openapi.json")
@docs(tags=TAGS, summary="The OpenAPI 3.1 document", verb=Verb.OPEN)
@response_schema(str, content_type=OPENAPI)
async def openapi_document(request: web.Request) -> web.Response:
    """Made from the registered routes."""
    await require_docs(request)
    return _answer(await request.app[MANUALS].openapi_json(), OPENAPI)


@routes.get("/docs/asyncapi.json")
@docs(tags=TAGS, summary="The AsyncAPI 3.0 document", verb=Verb.OPEN)
@response_schema(str, content_type=ASYNCAPI)
async def asyncapi_document(request: web.Request) -> web.Response:
    """Made from the command table and the publications."""
    await require_docs(request)
    return _answer(await request.app[MANUALS].asyncapi_json(), ASYNCAPI)


@routes.get("/docs/assets/{name}")
@docs(tags=TAGS, summary="Scripts and styles of the pages", verb=Verb.OPEN)
@response_schema(str, content_type="text/plain")
async def asset(request: web.Request) -> web.Response:
    """From the package that carries Swagger UI, and our own."""
    await require_docs(request)
    name = request.match_info["name"]
    kind = SWAGGER.get(name) or OURS.get(name)
    if kind is None:
        raise NotFound
    return _answer(_asset(name), kind)
