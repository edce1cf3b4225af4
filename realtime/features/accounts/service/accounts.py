"""Signing up, logging in and out, and one's own password."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import structlog

from common.clock import iso, now
from common.errors import Conflict, Forbidden, Invalid, Unauthenticated
from common.ids import Id
from common.mail import Mailer
from common.passwords import Passwords
from common.settings import Settings
from common.tokens import AccessTokens, Restoration, RestoreTokens, Succession
from documents.accounts import User
from documents.accounts.administration import create
from documents.accounts.leaving import Leaving
from realtime.fanout import Fanout
from realtime.features.accounts.rules import finding
from realtime.features.accounts.rules.standing import AccountLeaving, Banned, require_active
from realtime.features.accounts.schemas import handles
from realtime.features.accounts.schemas.admin import AdminIn
from realtime.features.accounts.schemas.auth import (
    ChangePasswordIn,
    Device,
    LoggedInOut,
    LoginIn,
    RegisterIn,
    SignedUpOut,
    SignupIn,
)
from realtime.features.accounts.service import views
from realtime.features.accounts.service.activity import ActivityService
from realtime.features.accounts.service.administration import AdministrationService
from realtime.features.accounts.service.audit import AuditService
from realtime.features.accounts.service.backoff import Backoff, nobody
from realtime.features.accounts.service.people import People
from realtime.features.accounts.service.resets import PasswordResets
from realtime.features.accounts.service.sessions import SessionEnded, Sessions
from realtime.gateway.session import Identity

log = structlog.get_logger(__name__)

RESTORE_SECONDS = 900
"""How long somebody who has just shown their password may take the deletion of their account back."""


class AccountExists(Conflict):
    code, text = "account_exists", "There is an account with this e-mail address or name already."


class InvalidCredentials(Unauthenticated):
    code, text = "invalid_credentials", "The name or the password is not right."


class WrongPassword(Forbidden):
    code, text = "wrong_password", "The current password is not right."


class NotYourself(Forbidden):
    code, text = "wrong_actor", "You can only act as yourself."


class Bans(Protocol):
    """Why somebody is banned."""

    async def explain(self, user_id: Id) -> Mapping[str, Any] | None:
        """What a banned person is told, when somebody has banned them on purpose."""
        ...


class AccountService:
    """Owns accounts. Its parts have doors of their own: sessions, people, administration and so on."""

    def __init__(
        self, settings: Settings, passwords: Passwords, tokens: AccessTokens, fanout: Fanout, mailer: Mailer
    ) -> None:
        self._settings, self._passwords, self._tokens = settings, passwords, tokens
        limits = settings.accounts
        self.people = People()
        self.activity = ActivityService()
        self.sessions = Sessions(limits, tokens, Succession(settings.secret()), fanout, self.activity)
        self._backoff = Backoff(limits)
        self._restores = RestoreTokens(settings.secret())
        self.resets = PasswordResets(settings, passwords, self.sessions, self._backoff, mailer)
        self.administration = AdministrationService(self.sessions, fanout)
        self.audit = AuditService(self.sessions)
        self.bans: Bans | None = None
        """Who says to the banned why they are, until when, and how to appeal."""

    async def start(self) -> None:
        """Begin to send what is asked for by mail."""
        await self.resets.start()

    async def stop(self) -> None:
        """Send what was asked for and write what was earned, within a moment, and end."""
        await self.activity.stop()
        await self.resets.stop()
        self._passwords.close()

    # -- asked by the gateway and by every request

    async def authenticate(self, token: str) -> Identity:
        """Who an access token stands for now; raises `Unauthenticated`, or why they may not take part."""
        return await self.sessions.authenticate(token)

    async def recently_revoked(self, since: datetime) -> list[Id]:
        """The log-ins that were ended since then, by any node."""
        return await self.sessions.recently_revoked(since)

    # -- becoming somebody

    async def signup(self, body: SignupIn, device: Device) -> SignedUpOut:
        """Make an account and log in, unless it waits for approval."""
        user = _new_user(body.handle, body.name, email=body.email)
        await self._add(user, body.password)
        if user.standing != "active":
            return SignedUpOut(user=views.me(user))
        tokens = await self.sessions.open(user, device)
        return SignedUpOut(user=views.me(user), **tokens.model_dump())

    async def register(self, body: RegisterIn) -> None:
        """Make an account from a username."""
        await self._add(_new_user(body.username, body.username), body.password)

    async def create_admin(self, body: AdminIn) -> User:
        """Make an administrator; for the command line only. Reserved names are free for them."""
        user = _new_user(body.username, body.username, email=body.email, reserved=True)
        user.is_admin = True
        user.password_hash = await self._passwords.hash(body.password)
        if not await create(user, "cli", "admin_created"):
            raise AccountExists
        return user

    async def _add(self, user: User, password: str) -> None:
        user.is_approved = not self._settings.accounts.approval_required
        await self._store(user, password)

    async def _store(self, user: User, password: str) -> None:
        user.password_hash = await self._passwords.hash(password)
        if not await user.add():
            raise AccountExists

    # -- logging in and out

    async def login(self, body: LoginIn, device: Device) -> LoggedInOut:
        """Log in by name and password; raises `InvalidCredentials`, the same for names nobody has."""
        key, user = await self._named(body.who)
        account = user.id if user else nobody(key)
        async with self._backoff.attempt(account, device.address):
            right = await self._passwords.verify(body.password, user.password_hash if user else None)
            if user is None or not right:
                log.info("login_failed", user_id=user.id if user else None, address=device.address)
                raise InvalidCredentials
        await self._require_active(user)
        tokens = await self.sessions.open(user, device)
        await self._after_login(user, body.password)
        log.info("logged_in", user_id=user.id, address=device.address)
        return LoggedInOut(user=views.me(user), **tokens.model_dump())

    async def _require_active(self, user: User) -> None:
        """Who is leaving learns how to stay; once it is too late there is nobody of that name."""
        if user.standing == "banned":
            raise await self._banned(user.id)
        if user.standing != "leaving" or user.leaving is None:
            return require_active(user.standing)
        if user.leaving.deletes_at <= now():
            raise InvalidCredentials
        raise AccountLeaving(detail=self._way_back(user.id, user.leaving))

    def _way_back(self, user_id: Id, leaving: Leaving) -> dict[str, str | None]:
        wanted = Restoration(user_id, round(leaving.deletes_at.timestamp() * 1000))
        token = self._restores.issue(wanted, RESTORE_SECONDS) if leaving.restorable else None
        return {"deletes_at": iso(leaving.deletes_at), "restore_token": token}

    async def _after_login(self, user: User, password: str) -> None:
        """Make a hash of the old cost anew; end the log-in when the password was changed meanwhile."""
        if not await User.has_password(user.id, user.password_hash):
            await self.sessions.end_all(user.id, "password_changed")
            raise InvalidCredentials
        if self._passwords.is_outdated(user.password_hash):
            renewed = await self._passwords.hash(password)
            await User.set_password(user.id, renewed, instead_of=user.password_hash)

    async def _named(self, who: str) -> tuple[str, User | None]:
        """The folded name and the person it names: an e-mail address has an @, a handle has none."""
        if "@" in who:
            key = handles.email_key(who)
            return key, await User.find_by("email_key", key)
        key = handles.key(who.strip())
        return key, await User.find_by("handle_key", key)

    async def refresh(self, refresh_token: str) -> LoggedInOut:
        """Exchange a refresh token for a new pair."""
        try:
            user, tokens = await self.sessions.refresh(refresh_token)
        except Banned:
            _, user_id = await self.sessions.login_of(refresh_token)
            raise await self._banned(user_id) from None
        return LoggedInOut(user=views.me(user), **tokens.model_dump())

    async def _banned(self, user_id: Id) -> Banned:
        """Said to who has shown that it is them."""
        return Banned(detail=await self.bans.explain(user_id) if self.bans is not None else None)

    async def logout(self, access: str | None, refresh: str | None, username: str | None = None) -> None:
        """End the log-in that a token names, even an expired or spent one; doing it again is fine."""
        named: list[tuple[Id, Id]] = []
        if access is not None:
            claims = self._tokens.read(access, even_expired=True)
            named.append((claims.login_id, claims.user_id))
        if refresh is not None:
            named.append(await self.sessions.login_of(refresh))
        if not named:
            raise Unauthenticated
        for login_id, user_id in named:
            await self._require_self(user_id, username)
            await self.sessions.end(login_id, "signed_out", of=user_id)

    async def _require_self(self, user_id: Id, username: str | None) -> None:
        """Refuse to act under another's name."""
        if username is None:
            return
        person = await User.caller(user_id)
        if person is None or handles.key(username) != handles.key(person.handle):
            raise NotYourself

    # -- oneself

    async def require_password(self, user_id: Id, password: str, address: str) -> User:
        """The person, if that is their password; attempts are counted like those to log in."""
        user = await User.find_by("_id", user_id)
        if user is None:
            raise SessionEnded
        async with self._backoff.attempt(user.id, address):
            if not await self._passwords.verify(password, user.password_hash):
                raise WrongPassword
        return user

    def forget_person(self, user_id: Id) -> None:
        """Somebody's standing has changed."""
        self.sessions.forget_person(user_id)

    async def shut_out(self, user_id: Id) -> None:
        """Let somebody who does not take part any more act nowhere: no log-in, no socket, no link."""
        self.forget_person(user_id)
        await self.sessions.end_all(user_id, "leaving")
        await self.resets.close_all(user_id)

    async def change_password(self, identity: Identity, body: ChangePasswordIn, address: str) -> None:
        """Choose another password, knowing the current one; every other log-in ends."""
        user = await self.require_password(identity.user_id, body.current_password, address)
        renewed = await self._passwords.hash(body.new_password)
        if not await User.set_password(user.id, renewed, instead_of=user.password_hash):
            raise WrongPassword
        await self.resets.close_all(user.id)
        await self.sessions.end_all(user.id, "password_changed", but=identity.login_id)
        log.info("password_changed", user_id=user.id)


def _new_user(handle: str, name: str, *, email: str | None = None, reserved: bool = False) -> User:
    """A person with nothing but a name; raises `Invalid` for a name that is ours."""
    if not reserved and handles.is_reserved(handle):
        raise Invalid.field("handle", "this name is reserved")
    at = now()
    user = User(
        email=email,
        email_key=handles.email_key(email) if email else None,
        handle=handle,
        handle_key=handles.key(handle),
        handle_skeleton=handles.skeleton(handle),
        name=name,
        password_hash="",
        created_at=at,
        last_active=at,
    )
    return user.model_copy(update=finding.by(user))
