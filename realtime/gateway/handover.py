# `_messages` and `_message_tail` have no public name; aiohttp is pinned to the minor.
# pyright: reportPrivateUsage=false
"""Handover: a connection moves to the worker whose session it asks for.

Workers listen on one port, and the kernel gives each connection to any of them. A request that names a
session of another worker is not relayed: the connection itself goes there, with what was read of it, and
nobody stands between a client and its session afterwards. Connections travel over socket pairs that the
parent made, so they reach no other process; what is sent to a worker that has died waits for the one that
replaces it.
"""

import asyncio
import os
import socket as sockets
from collections.abc import Callable, Sequence
from typing import cast

import structlog
from aiohttp import web

from common.errors import AppError, BadRequest, Unavailable, wire_error
from common.ids import new_id

log = structlog.get_logger(__name__)

Listener = Callable[[], asyncio.Protocol]
"""Makes the protocol of a new connection."""

BODY_WITHIN = 15.0
LONGEST = 200_000
"""Bytes of a request that can be handed over: it goes as one datagram."""
AT_ONCE = 32


class Opening(asyncio.Protocol):
    """Takes a connection up where another worker left it: first comes what was read there."""

    def __init__(self, protocol: asyncio.Protocol, read: bytes) -> None:
        self._protocol, self._read = protocol, read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
        self._protocol.data_received(self._read)


class Handover:
    """One worker's way to the others, and theirs to it."""

    def __init__(
        self, names: Sequence[str], inbox: sockets.socket, outboxes: Sequence[sockets.socket]
    ) -> None:
        """`names` of all workers, `outboxes` towards them in the same order, and `inbox`, our own."""
        self._outboxes = dict(zip(names, outboxes, strict=True))
        self._inbox = inbox
        self._arriving: set[asyncio.Task[None]] = set()

    def owner_of(self, request: web.Request, own: str) -> str | None:
        """The other worker that has the session of a request, if it is one that can be handed over."""
        name, dot, _ = request.query.get("sid", "").rpartition(".")
        if not dot or name == own or name not in self._outboxes:
            return None
        return name if _is_plain(request) else None

    async def send(self, request: web.Request, owner: str) -> web.StreamResponse:
        """Give the connection of `request` away; its answer comes from there."""
        try:
            async with asyncio.timeout(BODY_WITHIN):
                body = await request.read()
            self._give(request, owner, body)
        except TimeoutError:
            return _refused(BadRequest("The request took too long to arrive."))
        except AppError as problem:
            return _refused(problem)
        # Nobody reads this: the connection is no longer ours.
        return web.Response()

    def _give(self, request: web.Request, owner: str, body: bytes) -> None:
        connection, transport = request.protocol, request.transport
        if transport is None:
            return
        # What was asked behind this request cannot go along: nobody can be sure of the order of its answers.
        if connection._messages or transport.get_extra_info("ssl_object") is not None:
            raise BadRequest("Send the next request after the answer to this one.")
        tail = cast("bytes", connection._message_tail)  # pyright: ignore[reportUnknownMemberType]
        read = _as_sent(request, body) + tail
        if len(read) > LONGEST:
            raise BadRequest
        raw = transport.get_extra_info("socket")
        try:
            sockets.send_fds(self._outboxes[owner], [read], [raw.fileno()])
        except OSError as error:  # it does not take any at the moment, or this request is more than it takes
            log.warning("handover_failed", owner=owner, error=str(error))
            raise Unavailable(retry_after=1.0) from error
        # Only our end of it closes: the connection lives on in its new owner.
        connection.force_close()

    # -- what comes from others

    def listen(self, listener: Listener) -> None:
        """Take in what others send, from now on."""
        self._inbox.setblocking(False)
        asyncio.get_running_loop().add_reader(self._inbox.fileno(), self._arrived, listener)

    def stop(self) -> None:
        """Leave what others send to whoever comes after us."""
        asyncio.get_running_loop().remove_reader(self._inbox.fileno())

    def _arrived(self, listener: Listener) -> None:
        for _ in range(AT_ONCE):
            try:
                read, descriptors, *_rest = sockets.recv_fds(
                    self._inbox, LONGEST, 1, getattr(sockets, "MSG_CMSG_CLOEXEC", 0)
                )
            except OSError:
                return
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                task = asyncio.get_running_loop().create_task(_resume(listener, descriptor, read))
                self._arriving.add(task)
                task.add_done_callback(self._arriving.discard)


async def _resume(listener: Listener, descriptor: int, read: bytes) -> None:
    raw = sockets.socket(fileno=descriptor)
    try:
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: Opening(listener(), read), raw)
    except OSError:  # the client has left meanwhile
        raw.close()


def _is_plain(request: web.Request) -> bool:
    """Whether its body, if any, is exactly what its length says: then it can be written down again."""
    if {"Content-Encoding", "Transfer-Encoding"} & set(request.headers):
        return False
    length = request.content_length or 0
    return 0 < length < LONGEST if request.method == "POST" else length == 0


def _as_sent(request: web.Request, body: bytes) -> bytes:
    """The request as its client wrote it, but for a question whether it may go on: that was answered."""
    version = request.version
    first = f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}"
    lines = [first.encode("utf-8", "surrogateescape")]
    lines += [name + b": " + value for name, value in request.raw_headers if name.lower() != b"expect"]
    return b"\r\n".join([*lines, b"", body])


def _refused(problem: AppError) -> web.Response:
    response = web.json_response(wire_error(problem, new_id()), status=problem.status)
    response.force_close()
    return response
