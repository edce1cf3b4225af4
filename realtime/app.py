"""One process of Plaza: the web application, its start, and its orderly end."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
import uvloop
from aiohttp import web

from common.addresses import client_address
from common.settings import Settings
from realtime.bootstrap import Services, open_services
from realtime.gateway.http import Runner

log = structlog.get_logger(__name__)

Part = Literal["realtime", "rest"]
AddRest = Callable[[web.Application, Services], None]
"""Adds the side-car's routes; given by `__main__`, since the core knows nothing above it."""

SPREAD = 0.75
CLEANUP_SECONDS = 5.0
"""Clients are asked to come back within this share of the drain."""
GC_THRESHOLDS = (50_000, 50, 50)


def build_app(services: Services, add_rest: AddRest | None, *, sockets: bool = True) -> web.Application:
    """The application: the side-car's routes, and `/socket.io/` for the gateway."""
    app = web.Application(client_max_size=services.settings.limits.body_bytes)
    if add_rest is not None:
        add_rest(app, services)
    if sockets:
        trusted = services.settings.trusted_proxies

        async def socket(request: web.Request) -> web.StreamResponse:
            forwarded = request.headers.getall("X-Forwarded-For", ())
            return await services.gateway.handle(request, client_address(request.remote, forwarded, trusted))

        for path in ("/socket.io/", "/socket.io"):
            app.router.add_route("*", path, socket)
    return app


class Server:
    """A listening process: `start`, then `stop` with or without a drain."""

    def __init__(self, services: Services, app: web.Application) -> None:
        self._services = services
        self._runner = Runner(app, access_log=None, handle_signals=False, shutdown_timeout=3.0)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def drain(self) -> None:
        """Say that we are going, and wait until everyone has left or the time is over."""
        seconds = self._services.settings.timeouts.drain
        self._services.health.draining = True
        self._services.gateway.begin_drain(max(1, int(seconds * SPREAD * 1000)))
        log.info("draining", seconds=seconds, sockets=len(self._services.gateway.sessions))
        await self._services.gateway.wait_until_empty(seconds)

    async def stop(self) -> None:
        """Close what is open."""
        await self._services.gateway.stop(2.0)
        # What does not end by itself is left behind: nothing may hold up the end of a process.
        await asyncio.wait([asyncio.ensure_future(self._runner.cleanup())], timeout=CLEANUP_SECONDS)


async def serve(
    settings: Settings, add_rest: AddRest, announce: Callable[[Services, int], None], only: Part | None
) -> None:
    """Serve until told to stop: SIGTERM drains, SIGINT is for people who wait at a terminal."""
    stopping = _stop_signals()
    async with open_services(settings) as services:
        app = build_app(services, add_rest, sockets=only != "rest")
        server = Server(services, app)
        await server.start(settings.host, settings.port)
        _settle_memory()
        announce(services, server.port)
        reason = await _first(stopping, services.failed())
        log.info("stopping", reason=reason)
        if reason == signal.SIGTERM.name:
            await server.drain()
        await server.stop()


def run(main: Awaitable[None]) -> None:
    """Run a coroutine on the fastest loop there is."""
    uvloop.run(_as_coroutine(main))


async def _as_coroutine(main: Awaitable[None]) -> None:
    await main


def _stop_signals() -> "asyncio.Future[str]":
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[str] = loop.create_future()

    def stop(name: str) -> None:
        if not stopping.done():
            stopping.set_result(name)
        else:
            sys.exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    return stopping


async def _first(stopping: "asyncio.Future[str]", failing: Awaitable[str]) -> str:
    failed = asyncio.ensure_future(failing)
    done, _ = await asyncio.wait([stopping, failed], return_when=asyncio.FIRST_COMPLETED)
    failed.cancel()
    return next(iter(done)).result()


def _settle_memory() -> None:
    """What was made by now stays: keep the collector from walking through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
