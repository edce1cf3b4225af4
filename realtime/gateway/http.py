# `_current_request` and `_request_count` have no public name; aiohttp is pinned to the minor.
# pyright: reportPrivateUsage=false
"""The HTTP server below everything: what never becomes a request is refused in our words, and in time."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import web

from common.errors import AppError, BadRequest, Internal, wire_error
from common.ids import new_id
from realtime.gateway.doorman import Doorman, Hall, Welcome

log = structlog.get_logger(__name__)

HEADERS_WITHIN = 20.0
"""Seconds a new connection has for the headers of its first request."""
LONGEST_ADDRESS = 16_384
"""Bytes of the first line: room for lists of ids in query strings."""


ON_LOST: web.RequestKey[Callable[[], None]] = web.RequestKey("plaza.on_lost")
"""Called when the connection is lost before a request is answered."""


class HeadersTooLarge(AppError):
    code, status, text = "headers_too_large", 431, "The headers are too large."


class Connection(web.RequestHandler):
    """One connection of a client that may be anybody."""

    __slots__ = ("_patience",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(HEADERS_WITHIN, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._patience.cancel()
        request = self._current_request
        if isinstance(request, web.Request) and (tell := request.get(ON_LOST)) is not None:
            tell()
        super().connection_lost(exc)

    def close(self) -> None:
        """Stop; whoever has asked for nothing yet is not given the time that requests get."""
        super().close()
        if self._request_count == 0:
            self.force_close()

    def _give_up(self) -> None:
        if self._request_count == 0 and self._current_request is None:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused, and close: where a next request would begin, nobody knows."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        problem = _problem(status, message or "")
        if isinstance(problem, Internal):
            log.error("connection_failed", exc_info=exc)
        else:
            log.debug("request_refused", code=problem.code)
        body = orjson.dumps(wire_error(problem, new_id()))
        headers = {"Server": "plaza", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        response = web.Response(
            body=body, status=problem.status, content_type="application/json", headers=headers
        )
        response.force_close()
        return response


def _problem(status: int, message: str) -> AppError:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Internal()
    return HeadersTooLarge() if message.startswith("Got more than") else BadRequest()


class _Server(web.Server):
    """Each connection meets a doorman first."""

    def __init__(self, *args: Any, welcome: Welcome | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._hall = Hall(lambda: Connection(self, loop=self._loop, **self._kwargs), welcome)

    def __call__(self) -> asyncio.Protocol:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Doorman(self._hall)

    def pre_shutdown(self) -> None:
        self._hall.close()
        super().pre_shutdown()


class Runner(web.AppRunner):
    """Runs an application on such connections; `welcome` takes those that become WebSockets at once."""

    def __init__(self, app: web.Application, welcome: Welcome | None = None, **options: Any) -> None:
        super().__init__(app, **options)
        self._welcome = welcome

    def connection(self) -> asyncio.Protocol:
        """The protocol of one more connection, however it came here."""
        if self.server is None:
            raise RuntimeError("connections come after the start")
        return self.server()

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        options: dict[str, Any] = {**plain._kwargs, "max_line_size": LONGEST_ADDRESS}
        return _Server(
            plain.request_handler,
            request_factory=plain.request_factory,
            loop=plain._loop,
            welcome=self._welcome,
            **options,
        )
