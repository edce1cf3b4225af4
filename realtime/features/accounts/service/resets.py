"""Choosing another password by a link in a mail.

Asking for a link only queues work, so the answer and its time are the same whoever is meant.
"""

import asyncio
import contextlib
from datetime import timedelta
from urllib.parse import quote

import structlog

from common.clock import now
from common.errors import Overloaded
from common.ids import Id
from common.mail import Mail, Mailer
from common.passwords import Passwords
from common.settings import Settings
from common.tokens import RESET, InvalidToken, digest, new_token, require_kind
from documents.accounts import LoginFailures, PasswordReset, User
from realtime.features.accounts.schemas import handles
from realtime.features.accounts.schemas.auth import ForgotIn, ResetIn
from realtime.features.accounts.service.backoff import Backoff
from realtime.features.accounts.service.sessions import Sessions

log = structlog.get_logger(__name__)

WAITING = 256
MAILS_AN_HOUR = 5
LAST_CALL = 5.0
_HOUR = timedelta(hours=1)
_TEXT = """\
Hello {name},

somebody, probably you, wants to choose another password for your Plaza account.
If it was you, open this link within {minutes} minutes:

{link}

If it was not, do nothing: your password stays as it is.
"""


class PasswordResets:
    """Owns the links, and the one worker that mails them."""

    def __init__(
        self, settings: Settings, passwords: Passwords, sessions: Sessions, backoff: Backoff, mailer: Mailer
    ) -> None:
        self._settings, self._passwords, self._sessions = settings, passwords, sessions
        self._backoff, self._mailer = backoff, mailer
        self._asked: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Send what is queued, within a moment, and end."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_CALL):
                await self._asked.join()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    async def forgot(self, body: ForgotIn) -> None:
        """Ask for a link to be sent to an address, if somebody has it."""
        try:
            self._asked.put_nowait(handles.email_key(body.email))
        except asyncio.QueueFull:
            raise Overloaded(retry_after=10.0) from None

    async def reset(self, body: ResetIn) -> None:
        """Choose a password with the token of a link; it works once and ends every log-in."""
        require_kind(RESET, body.token)
        token_hash = digest(body.token)
        if not await PasswordReset.is_open(token_hash):
            raise InvalidToken
        renewed = await self._passwords.hash(body.password)
        user_id = await PasswordReset.claim(token_hash)
        if user_id is None:
            raise InvalidToken
        await User.set_password(user_id, renewed)
        await self.close_all(user_id)
        await self._sessions.end_all(user_id, "password_reset")
        await self._backoff.forgive(user_id)
        log.info("password_reset", user_id=user_id)

    async def close_all(self, user_id: Id) -> None:
        """Let no link sent to this person work any more."""
        await PasswordReset.close_all(user_id)

    async def _work(self) -> None:
        while True:
            email_key = await self._asked.get()
            try:
                await self._send_link(email_key)
            except Exception as error:
                log.warning("reset_mail_failed", error=type(error).__name__)
            finally:
                self._asked.task_done()

    async def _send_link(self, email_key: str) -> None:
        user = await User.find_by("email_key", email_key)
        if user is None or user.email is None:
            return
        if await LoginFailures.count_one(f"reset:{user.id}", MAILS_AN_HOUR, _HOUR) is not None:
            log.info("reset_mails_limited", user_id=user.id)
            return
        token = new_token(RESET)
        lifetime = self._settings.accounts.reset_lifetime
        expires_at = now() + timedelta(seconds=lifetime)
        await PasswordReset(id=digest(token), user_id=user.id, expires_at=expires_at).add()
        link = f"{self._settings.public_url.rstrip('/')}/reset-password?token={quote(token)}"
        text = _TEXT.format(name=user.name, minutes=lifetime // 60, link=link)
        await self._mailer.send(Mail(user.email, "Choose another password", text))
