"""The gateway: from sockets to sessions.

A socket is refused, closed after a deadline, or becomes a `Session`; identity comes from the CONNECT packet
alone and never changes. What it says is for `Intake`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, Protocol, cast

import structlog
from aiohttp import web

from common import metrics
from common.addresses import client_address
from common.errors import AppError, Conflict, Unavailable, as_app_error, wire_error
from common.ids import new_id
from common.settings import Settings
from realtime import channels
from realtime.actors import Actors
from realtime.deadlines import Deadline
from realtime.fanout import LocalFanout
from realtime.gateway import door
from realtime.gateway.actor import SessionActor
from realtime.gateway.admission import Admission
from realtime.gateway.commands import CommandTable
from realtime.gateway.doorman import Handshake
from realtime.gateway.intake import Intake
from realtime.gateway.notices import draining_packet
from realtime.gateway.peer import Peer
from realtime.gateway.session import Authenticator, Session
from realtime.gateway.transport import EngineSocket, SocketServer, connected_packet, refused_packet
from realtime.wheel import Wheel

log = structlog.get_logger(__name__)

REFUSED_LINGER = 0.5
TRY_AGAIN_LATER = 1013
EXPIRY_TICK = 0.5
"""A socket ends at most so many seconds after its token."""


class AlreadyAuthenticated(Conflict):
    code, text = "already_authenticated", "This socket belongs to someone already."


class Hook(Protocol):
    """Someone who wants to know of sessions. `opened` runs before the client hears that it is connected."""

    async def opened(self, session: Session) -> None: ...

    async def closed(self, session: Session) -> None: ...


class Gateway:
    """Accepts sockets, authenticates them, and feeds their commands to session actors."""

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        table: CommandTable,
        actors: Actors,
        local: LocalFanout,
    ) -> None:
        self._settings, self._authenticator = settings, authenticator
        self._actors, self._local = actors, local
        self.hooks: Sequence[Hook] = ()
        self.intake = Intake(table, actors, settings.limits.json_depth, self._connect)
        self.received = self.intake.received
        self.server = SocketServer(settings, self)
        self._sessions: dict[str, Session] = {}
        for transport in ("websocket", "polling"):
            metrics.connections.labels(transport).set_function(partial(self._count, transport))
        self._by_user: dict[str, list[Session]] = {}
        self._admission = Admission(settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining, self._spread_ms = False, 1
        self._empty = asyncio.Event()
        patience = settings.timeouts.authenticate
        self._strangers: Wheel[EngineSocket] = Wheel(
            patience / 16, lambda socket: socket.drop("auth_timeout")
        )
        self._expiries: Wheel[Session] = Wheel(EXPIRY_TICK, lambda session: session.close("token_expired"))
        self._time = Deadline(settings.timeouts.command)
        actors.register("session", lambda key: SessionActor(self._sessions[key], self._time))

    @property
    def sessions(self) -> Sequence[Session]:
        return tuple(self._sessions.values())

    def allows(self, origin: str) -> bool:
        """Whether a browser page of `origin` may talk to us."""
        return origin in self._settings.allowed_origins or origin == self._settings.public_url.rstrip("/")

    def _count(self, transport: str) -> float:
        return sum(session.socket.transport == transport for session in self._sessions.values())

    # -- HTTP

    async def handle(self, request: web.Request, address: str) -> web.StreamResponse:
        """The door of `/socket.io/`: refuse early what must not become a socket."""
        problem = self._refuse_early(request, address)
        if problem is not None:
            return door.turned_away(problem)
        return await self.server.handle(request, address)

    def welcome(self, connection: asyncio.Transport, handshake: Handshake) -> bool:
        """The same door for a WebSocket of the usual form; False: it needs a closer look."""
        if self._draining or (handshake.origin is not None and not self.allows(handshake.origin)):
            return False
        remote = connection.get_extra_info("peername")
        address = client_address(
            remote[0] if remote else None, (handshake.forwarded,), self._settings.trusted_proxies
        )
        problem = self._admission.enter(address)
        if problem is None:
            self.server.open(address, connection, handshake)
        else:
            connection.write(door.refusal_bytes(problem))
            connection.close()
        return True

    def _refuse_early(self, request: web.Request, address: str) -> AppError | None:
        problem = door.refusal(request, self.allows)
        if problem is not None or request.query.get("sid"):
            return problem
        if self._draining:
            return Unavailable(retry_after=1.0)
        return self._admission.enter(address)

    # -- the transport's receiver

    def opened(self, socket: EngineSocket) -> None:
        socket.peer = Peer(socket)
        self._admission.arrived(socket.address)
        self._strangers.set(socket, self._settings.timeouts.authenticate)

    def closed(self, socket: EngineSocket, reason: str) -> None:
        peer: Peer = socket.peer
        self._strangers.cancel(socket)
        session, peer.session = peer.session, None
        if session is None:
            self._admission.left(socket.address)
        elif session.is_open:
            session.is_open = False
            _note("socket_closed", session, reason=reason)
            self._forget(session)
            self._spawn(self._leave(session))
        if peer.work is not None and session is None:
            peer.work.cancel()

    # -- connecting

    def _connect(self, peer: Peer, auth: Any) -> None:
        if peer.session is not None or peer.work is not None:
            self.intake.refuse(peer, None, AlreadyAuthenticated())
            return
        given = cast("dict[str, Any]", auth).get("token") if isinstance(auth, dict) else None
        token = given if isinstance(given, str) else ""
        peer.work = self._spawn(self._authenticate(peer, token))

    async def _authenticate(self, peer: Peer, token: str) -> None:
        session: Session | None = None
        try:
            async with self._admission.turn():
                with self._time.limit():
                    identity = await self._authenticator.authenticate(token)
                    session = Session(new_id(), identity, peer.socket, self._local)
                    self._admit(session)
                    for hook in self.hooks:
                        await hook.opened(session)
            if not peer.socket.closed:
                self._open(peer, session)
        except Exception as error:
            self._refuse_connect(peer, error)
        finally:  # also when the socket went away meanwhile and this was cancelled
            peer.work = None
            if session is not None and peer.session is not session:
                self._forget(session)
                self._spawn(self._leave(session))

    def _admit(self, session: Session) -> None:
        """From here on the session can be found: by sign-out, by its user's channel, by its own actor."""
        self._sessions[session.id] = session
        self._local.join(session, channels.session(session.login_id))
        others = self._by_user.setdefault(session.user_id, [])
        others.append(session)
        if len(others) > self._settings.limits.sockets_per_user:
            others[0].close("too_many_sockets")

    def _open(self, peer: Peer, session: Session) -> None:
        peer.session = session
        self._strangers.cancel(peer.socket)
        self._admission.left(peer.socket.address)
        session.on_extend = self._watch_expiry
        self._watch_expiry(session)
        _note("socket_opened", session)
        peer.socket.write(connected_packet(session.id))
        if self._draining:
            session.send(draining_packet(self._spread_ms))

    def _watch_expiry(self, session: Session) -> None:
        if session.is_open:
            self._expiries.set(session, max(0.0, session.identity.expires_at - time.time()))

    def _refuse_connect(self, peer: Peer, error: Exception) -> None:
        problem = as_app_error(error)
        if problem.code == "internal":
            log.exception("connect_failed", exc_info=error)
        if problem.retryable:  # after a refusal clients do not come back by themselves, after a close they do
            peer.socket.drop("unavailable", TRY_AGAIN_LATER)
            return
        body = wire_error(problem, new_id())
        peer.socket.write(refused_packet({"message": body["message"], "data": body}))
        asyncio.get_running_loop().call_later(REFUSED_LINGER, self._end_refused, peer)

    def _end_refused(self, peer: Peer) -> None:
        """Close a socket that was refused, unless it has come with a better token meanwhile."""
        if peer.session is None and peer.work is None:
            peer.socket.drop("refused")

    # -- leaving

    def _forget(self, session: Session) -> None:
        session.is_open = False
        self._expiries.cancel(session)
        self._local.leave_all(session)
        self._sessions.pop(session.id, None)
        others = self._by_user.get(session.user_id, [])
        if session in others:
            others.remove(session)
        if not others:
            self._by_user.pop(session.user_id, None)
        if not self._sessions:
            self._empty.set()

    async def _leave(self, session: Session) -> None:
        await self._actors.forget("session", session.id)
        for hook in self.hooks:
            try:
                await hook.closed(session)
            except Exception:
                log.exception("close_hook_failed", session_id=session.id)

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- stopping

    def begin_drain(self, spread_ms: int) -> None:
        """Take no new sockets and ask everyone to come back later, each at another time."""
        self._draining, self._spread_ms = True, spread_ms
        for session in self.sessions:
            session.send(draining_packet(spread_ms))

    async def wait_until_empty(self, seconds: float) -> None:
        """Until every session has left, or the time is over."""
        self._empty.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds if self._sessions else 0):
                await self._empty.wait()

    async def stop(self, seconds: float) -> None:
        """Close every socket and let their farewells finish."""
        self.server.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)


def _note(event: str, session: Session, **more: str) -> None:
    """Log what happens to thousands of sockets a second, for who looks that closely."""
    if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        log.debug(event, session_id=session.id, user_id=session.user_id, **more)
