"""One process of Plaza: the web application, its start, and its orderly end."""

import asyncio
import contextlib
import gc
import resource
import signal
import ssl
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import structlog
import uvloop
from aiohttp import web

from common.addresses import client_address
from common.settings import Settings
from realtime.bootstrap import Services, open_services
from realtime.gateway.handover import Handover
from realtime.gateway.http import Runner
from realtime.slot import Lifeline, Slot
from realtime.stopping import first_of, stop_signals

log = structlog.get_logger(__name__)

Part = Literal["realtime", "rest"]


class AddRest(Protocol):
    """Adds the side-car's routes, or only those of every process; the core knows nothing above it."""

    def __call__(self, app: web.Application, services: Services, *, api: bool = True) -> None: ...


SPREAD = 0.75
"""Clients are asked to come back within this share of the drain."""
CLEANUP_SECONDS = 5.0
GC_THRESHOLDS = (50_000, 50, 50)


def build_app(
    services: Services,
    add_rest: AddRest | None,
    *,
    only: Part | None = None,
    handover: Handover | None = None,
) -> web.Application:
    """The application: the side-car's routes, and `/socket.io/` for the gateway; or one of the two."""
    app = web.Application(client_max_size=services.settings.limits.body_bytes)
    if add_rest is not None:
        add_rest(app, services, api=only != "realtime")
    if only != "rest":
        trusted, own = services.settings.trusted_proxies, services.settings.node_name

        async def socket(request: web.Request) -> web.StreamResponse:
            if handover is not None and (owner := handover.owner_of(request, own)) is not None:
                return await handover.send(request, owner)
            forwarded = request.headers.getall("X-Forwarded-For", ())
            return await services.gateway.handle(request, client_address(request.remote, forwarded, trusted))

        for path in ("/socket.io/", "/socket.io"):
            app.router.add_route("*", path, socket)

    async def let_go(_: web.Request, response: web.StreamResponse) -> None:
        """Who keeps a connection to a process that goes finds another one for the next request."""
        if services.health.draining and response.status != 101:
            response.force_close()
            response.headers["Connection"] = "close"

    app.on_response_prepare.append(let_go)
    return app


class Server:
    """A listening process: `start`, then `stop` with or without a drain."""

    def __init__(
        self,
        services: Services,
        app: web.Application,
        handover: Handover | None = None,
        only: Part | None = None,
    ) -> None:
        self._services, self._handover = services, handover
        welcome = services.gateway.welcome if only != "rest" else None
        self._runner = Runner(app, welcome, access_log=None, handle_signals=False, shutdown_timeout=3.0)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        await self._runner.setup()
        # Workers share one port: each listens for itself, and the kernel chooses.
        self._site = web.TCPSite(
            self._runner,
            host,
            port,
            backlog=4096,
            reuse_port=True if self._handover is not None else None,
            ssl_context=_tls_of(self._services.settings),
        )
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        if self._handover is not None:
            self._handover.listen(self._runner.connection)

    async def drain(self) -> None:
        """Say that we are going, and wait until everyone has left or the time is over."""
        seconds = self._services.settings.timeouts.drain
        self._services.health.draining = True
        if self._handover is not None:  # no front sends newcomers elsewhere, but the kernel does
            await self._site.stop()
        self._services.gateway.begin_drain(max(1, int(seconds * SPREAD * 1000)))
        log.info("draining", seconds=seconds, sockets=len(self._services.gateway.sessions))
        await self._services.gateway.wait_until_empty(seconds)

    async def stop(self) -> None:
        """Close what is open."""
        if self._handover is not None:
            self._handover.stop()
        await self._services.gateway.stop(2.0)
        # What does not end by itself is left behind: nothing may hold up the end of a process.
        await asyncio.wait([asyncio.ensure_future(self._runner.cleanup())], timeout=CLEANUP_SECONDS)


async def serve(
    settings: Settings, add_rest: AddRest, announce: Callable[[Settings, int], None], only: Part | None
) -> None:
    """Serve until told to stop: SIGTERM drains, SIGINT is for people who wait at a terminal."""
    allow_descriptors()
    stopping = stop_signals()
    slot = Slot.of_this_process()
    lifeline, handover = (Lifeline(slot), slot.handover()) if slot is not None else (None, None)
    async with open_services(settings) as services:
        app = build_app(services, add_rest, only=only, handover=handover)
        server = Server(services, app, handover, only)
        await server.start(settings.host, settings.port)
        _settle_memory()
        if lifeline is None:
            announce(settings, server.port)
            reason = await first_of(stopping, services.failed())
        else:
            lifeline.serving()
            reason = await first_of(stopping, services.failed(), lifeline.cut())
        log.info("stopping", reason=reason)
        if reason == signal.SIGTERM.name:
            await server.drain()
        await server.stop()


def _tls_of(settings: Settings) -> ssl.SSLContext | None:
    tls = settings.tls
    if tls.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate, tls.key)
    return context


def run(main: Awaitable[None]) -> None:
    """Run a coroutine on the fastest loop there is."""
    uvloop.run(_as_coroutine(main))


async def _as_coroutine(main: Awaitable[None]) -> None:
    await main


def allow_descriptors() -> None:
    """As many open files as the system lets us have: each connection is one, and shells begin with 1,024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # some systems call endless what they do not give
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _settle_memory() -> None:
    """What was made by now stays: keep the collector from walking through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
