"""The API documents of a process, each made once, when somebody first asks for it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import orjson
from aiohttp import web

from common.version import VERSION
from rest.asyncapi import Command, Protocols, build_asyncapi
from rest.openapi import build_openapi
from rest.render import render_realtime
from rest.schemas import Json


class Manuals:
    """What can be read at `/docs`."""

    def __init__(self, routes: Sequence[web.RouteDef], commands: Iterable[Command], url: str) -> None:
        self._routes, self._commands, self._url = routes, commands, url
        self._made: dict[str, asyncio.Task[bytes]] = {}

    def openapi(self) -> Json:
        """The OpenAPI document."""
        return build_openapi(self._routes, VERSION)

    def asyncapi(self) -> Json:
        """The AsyncAPI document."""
        return build_asyncapi(Protocols.of(self._commands), VERSION, self._url)

    async def openapi_json(self) -> bytes:
        """The OpenAPI document, encoded."""
        return await self._once("openapi", lambda: orjson.dumps(self.openapi()))

    async def asyncapi_json(self) -> bytes:
        """The AsyncAPI document, encoded."""
        return await self._once("asyncapi", lambda: orjson.dumps(self.asyncapi()))

    async def realtime_page(self) -> bytes:
        """The page about commands and publications."""
        return await self._once("realtime", self._render)

    def _render(self) -> bytes:
        return render_realtime(Protocols.of(self._commands), VERSION, self._url).encode()

    async def _once(self, name: str, make: Callable[[], bytes]) -> bytes:
        if name not in self._made:
            self._made[name] = asyncio.get_running_loop().create_task(asyncio.to_thread(make))
        return await asyncio.shield(self._made[name])


MANUALS = web.AppKey("manuals", Manuals)
