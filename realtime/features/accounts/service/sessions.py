"""Log-ins: opened, refreshed, ended, and asked for by every request.

A refresh token works once. Its successor is computed from it, so a client that asks twice gets the same
answer for a moment, and nothing but hashes is stored. Who shows a spent one later has a copy: it ends.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import partial

import structlog

from common.addresses import network_of
from common.clock import now
from common.errors import AppError, NotFound, Unauthenticated
from common.ids import Id, derived_id
from common.settings import Accounts
from common.tokens import (
    REFRESH,
    AccessTokens,
    InvalidToken,
    Subject,
    Succession,
    digest,
    new_token,
    require_kind,
)
from documents.accounts import AdminAudit, LoginSession, SpentRefresh, User, Why
from realtime import channels
from realtime.fanout import Fanout
from realtime.features.accounts.rules.standing import AdminOnly, Banned, ModeratorOnly, require_active
from realtime.features.accounts.schemas.auth import Device, LoginOut, TokensOut
from realtime.features.accounts.service.activity import ActivityService
from realtime.features.accounts.store import Briefly
from realtime.gateway.session import Identity
from realtime.renewals import Renewals

log = structlog.get_logger(__name__)

USER_AGENT = 200
NOTED_EVERY = timedelta(minutes=5)
"""How exactly we know when somebody was last there."""


class SessionEnded(Unauthenticated):
    code, text = "session_ended", "This session has ended. Please log in again."


class ReuseDetected(Unauthenticated):
    code, text = "reuse_detected", "This refresh token was used before; the session has been ended."


class LoginNotFound(NotFound):
    text = "There is no such session."


class Sessions:
    """Owns log-ins and who they belong to, remembered for a second."""

    def __init__(
        self,
        limits: Accounts,
        tokens: AccessTokens,
        succession: Succession,
        fanout: Fanout,
        activity: ActivityService,
    ) -> None:
        self._limits, self._tokens, self._succession = limits, tokens, succession
        self._fanout, self._activity = fanout, activity
        self._logins = Briefly(self._owners)
        self._people = Briefly(User.callers)
        self._visits = Renewals()

    # -- what every request asks

    async def authenticate(self, token: str) -> Identity:
        """Who an access token stands for now; raises `Unauthenticated`, or why they may not take part."""
        claims = self._tokens.read(token)
        login, people = self._logins.ask(claims.login_id), self._people.ask(claims.user_id)
        owner, person = await login, await people
        is_in = owner is not None and owner == claims.user_id
        if person is None or (person.standing == "leaving" and not is_in):
            raise SessionEnded
        require_active(person.standing)
        if not is_in:
            raise SessionEnded
        return Identity(claims.user_id, person.handle, claims.login_id, float(claims.expires_at))

    async def require_admin(self, user_id: Id) -> None:
        """Refuse who is not an administrator now."""
        person = await self._people.get(user_id)
        if person is None or not person.is_admin:
            raise AdminOnly

    async def require_moderator(self, user_id: Id) -> None:
        """Refuse who does not look after reports now."""
        if not await self.is_staff(user_id):
            raise ModeratorOnly

    async def is_staff(self, user_id: Id) -> bool:
        """Whether they look after reports now: moderators and administrators do."""
        person = await self._people.get(user_id)
        return person is not None and person.is_staff

    async def staff_among(self, user_ids: Collection[Id]) -> set[Id]:
        """Those who look after reports, as the database has it at this moment."""
        found = await User.callers(list(user_ids))
        return {user_id for user_id, person in found.items() if person.is_staff}

    async def _owners(self, login_ids: list[Id]) -> dict[Id, Id]:
        """Whose those log-ins are that live; notes now and then that they are in use."""
        states, at = await LoginSession.states_of(login_ids), now()
        owners: dict[Id, Id] = {}
        for login_id, state in states.items():
            if state["revoked_at"] is not None or state["expires_at"] <= at:
                continue
            owners[login_id] = user_id = state["user_id"]
            if at - state["last_used_at"] > NOTED_EVERY:
                self._visits.begin(login_id, partial(self._note_use, login_id, user_id, at))
        return owners

    async def _note_use(self, login_id: Id, user_id: Id, at: datetime) -> None:
        await LoginSession.used(login_id, at)
        await self.note_visit(user_id)

    async def note_visit(self, user_id: Id) -> None:
        """Somebody is there."""
        await User.seen(user_id, now())
        await self._activity.record(user_id, "visit", "visit")

    async def recently_revoked(self, since: datetime) -> list[Id]:
        """The log-ins that were ended since then, by any node."""
        return await LoginSession.revoked_since(since)

    async def living(self, login_ids: Collection[Id]) -> dict[Id, datetime]:
        """Those of these log-ins that have not ended, and when they will."""
        states, at = await LoginSession.states_of(list(login_ids)), now()
        return {
            login_id: state["expires_at"]
            for login_id, state in states.items()
            if state["revoked_at"] is None and state["expires_at"] > at
        }

    def forget_person(self, user_id: Id) -> None:
        """Somebody's name, role or standing has changed."""
        self._people.forget(user_id)

    # -- opening and refreshing

    async def open(self, user: User, device: Device) -> TokensOut:
        """Log a person in on a device."""
        refresh, at = new_token(REFRESH), now()
        login = LoginSession(
            user_id=user.id,
            refresh_hash=digest(refresh),
            user_agent=_readable(device.user_agent),
            address=network_of(device.address),
            created_at=at,
            last_used_at=at,
            rotated_at=at,
            expires_at=at + timedelta(seconds=self._limits.refresh_lifetime),
        )
        await login.add()
        for surplus in await LoginSession.surplus(user.id):
            await self.end(surplus, "too_many")
        await self.note_visit(user.id)
        return self._tokens_out(user, login, refresh)

    async def refresh(self, token: str) -> tuple[User, TokensOut]:
        """Exchange a refresh token; raises `ReuseDetected` for one that has been exchanged."""
        require_kind(REFRESH, token)
        successor = self._succession.after(token)
        login = await self._rotate(digest(token), digest(successor)) or await self._repeated(digest(token))
        user = await User.find_by("_id", login.user_id)
        if user is None:
            raise SessionEnded
        require_active(user.standing)
        return user, self._tokens_out(user, login, successor)

    async def _rotate(self, spent: str, successor: str) -> LoginSession | None:
        """Put the successor in place, once; None when the token is not the current one of a living log-in."""
        login = await LoginSession.holding(spent)
        if login is None or login.refresh_hash != spent:
            return None
        await SpentRefresh.add(spent, login.id, login.expires_at)
        idle = timedelta(seconds=self._limits.refresh_idle)
        return await LoginSession.rotate(spent, successor, idle, now())

    async def _repeated(self, spent: str) -> LoginSession:
        """The log-in of a token that was exchanged a moment ago; anybody later has a copy of it."""
        login = await LoginSession.holding(spent)
        if login is None:
            raise await self._unknown(spent)
        if login.refresh_hash == spent:  # it was not rotated: it has ended, or was idle for too long
            raise await self._ended(login)
        if self._is_late(login):
            await self._end_reused(login.id)
            raise ReuseDetected
        if login.revoked_at is not None:
            raise await self._ended(login)
        return login

    async def _ended(self, login: LoginSession) -> AppError:
        """What to say of a log-in that has ended: who is banned is told so."""
        person = await User.caller(login.user_id) if login.revoked_why == "banned" else None
        return Banned() if person is not None and person.standing == "banned" else SessionEnded()

    def _is_late(self, login: LoginSession) -> bool:
        return now() - login.rotated_at > timedelta(seconds=self._limits.refresh_grace)

    async def _unknown(self, refresh_hash: str) -> Unauthenticated:
        """What to say to a token that is neither the current nor the last of a log-in."""
        login_id = await SpentRefresh.login_of(refresh_hash)
        if login_id is None:
            return InvalidToken()
        await self._end_reused(login_id)
        return ReuseDetected()

    async def _end_reused(self, login_id: Id) -> None:
        if await self.end(login_id, "reuse_detected"):
            log.warning("refresh_reuse_detected", login_id=login_id)
            await AdminAudit.add("system", "refresh_reuse", login_id)

    def _tokens_out(self, user: User, login: LoginSession, refresh: str) -> TokensOut:
        """The pair that stands since the last rotation: the same, however often it is said."""
        left = int((login.expires_at - login.rotated_at).total_seconds())
        lifetime = min(self._limits.access_lifetime, left)
        access = self._tokens.issue(
            Subject(user.id, login.id, user.username, user.email),
            int(login.rotated_at.timestamp()),
            lifetime,
            derived_id("access", login.id, digest(refresh)),
        )
        return TokensOut(access_token=access, refresh_token=refresh, expires_in=lifetime)

    # -- ending

    async def end(self, login_id: Id, why: Why, *, of: Id | None = None) -> bool:
        """End a log-in and close its sockets everywhere; False when it has ended before."""
        ended = await LoginSession.revoke(login_id, why, of=of)
        self._close([login_id] if ended else [])
        return ended

    async def end_all(self, user_id: Id, why: Why, *, but: Id | None = None) -> None:
        """End all log-ins of a person, or all but one."""
        self._close(await LoginSession.revoke_all(user_id, why, but=but))

    async def end_own(self, user_id: Id, login_id: Id) -> None:
        """End one of one's own log-ins from another; doing it again is fine."""
        if not await LoginSession.belongs_to(login_id, user_id):
            raise LoginNotFound
        await self.end(login_id, "signed_out", of=user_id)

    async def login_of(self, refresh: str) -> tuple[Id, Id]:
        """The log-in and the person a refresh token was given to, whatever has become of it."""
        require_kind(REFRESH, refresh)
        refresh_hash = digest(refresh)
        login = await LoginSession.holding(refresh_hash)
        login_id = login.id if login else await SpentRefresh.login_of(refresh_hash)
        state = await LoginSession.state_of(login_id) if login_id else None
        if login_id is None or state is None:
            raise InvalidToken
        return login_id, state["user_id"]

    async def list(self, identity: Identity) -> "list[LoginOut]":
        """Where the caller is logged in."""
        alive = await LoginSession.alive_of(identity.user_id)
        return [_login_out(login, identity.login_id) for login in alive]

    def _close(self, login_ids: Iterable[Id]) -> None:
        for login_id in login_ids:
            log.info("login_ended", login_id=login_id)
            self._logins.forget(login_id)
            self._fanout.close(channels.session(login_id), "signed_out")


def _login_out(login: LoginSession, current: Id) -> LoginOut:
    return LoginOut(
        id=login.id,
        device=login.user_agent,
        address=login.address,
        created_at=login.created_at,
        last_used_at=login.last_used_at,
        expires_at=login.expires_at,
        current=login.id == current,
    )


def _readable(user_agent: str) -> str:
    return "".join(char for char in user_agent[:USER_AGENT] if char.isprintable())
