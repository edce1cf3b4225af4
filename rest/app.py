"""The side-car as a whole: its routes and middleware, added to an application."""

import hashlib
import importlib
import pkgutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from rest import routes as route_modules
from rest.health import INSPECTOR, Inspector
from rest.manuals import MANUALS, Manuals
from rest.middleware import edge_middleware
from rest.openapi import validation_middleware
from rest.reply import CURSOR_SECRET, SERVICES
from rest.routes import system

if TYPE_CHECKING:
    from realtime.bootstrap import Services

ROUTE_TABLES: list[web.RouteTableDef] = [
    importlib.import_module(f"{route_modules.__name__}.{found.name}").routes
    for found in pkgutil.iter_modules(route_modules.__path__)
]
"""The table of every module in `rest/routes`."""
SYSTEM = [route for route in system.routes if isinstance(route, web.RouteDef)]
"""What every process answers: whether it lives, is ready, and what it counts."""


def add_rest(app: web.Application, services: "Services", *, api: bool = True) -> None:
    """Serve everything REST from `app`; or, for a core with side-cars beside it, only how this process is."""
    app[SERVICES] = services
    app[CURSOR_SECRET] = hashlib.blake2b(
        services.settings.secret(), person=b"plaza cursor", digest_size=32
    ).digest()
    app[INSPECTOR] = Inspector(services)
    app[MANUALS] = Manuals(all_routes(), services.commands, services.settings.public_url)
    app.middlewares.append(edge_middleware(services))
    app.middlewares.append(validation_middleware)
    add_routes(app.router, all_routes() if api else SYSTEM)


def all_routes() -> list[web.RouteDef]:
    """Every route, in the order in which they are asked: literal parts before parameters."""
    found = [route for table in ROUTE_TABLES for route in table if isinstance(route, web.RouteDef)]
    return sorted(found, key=lambda route: precedence(route.path))


def precedence(path: str) -> tuple[tuple[int, str], ...]:
    """Sorts literal parts of a path before parameters, and parameters before those that take slashes too."""
    return tuple((_openness(part), part) for part in path.strip("/").split("/"))


def _openness(part: str) -> int:
    if "{" not in part:
        return 0
    return 2 if ":" in part else 1


def add_routes(router: web.UrlDispatcher, found: Iterable[web.RouteDef]) -> None:
    """Register each route with and without a trailing slash, and its HEAD beside its GET."""
    for route in found:
        plain = route.path.rstrip("/") or "/"
        for path in dict.fromkeys((plain, plain.rstrip("/") + "/")):
            router.add_route(route.method, path, route.handler)
            if route.method == "GET":
                router.add_route("HEAD", path, route.handler)
