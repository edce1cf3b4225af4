"""Outgoing mail: through an SMTP server, or into a maildir where none is set up."""

import asyncio
import mailbox
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol

import aiosmtplib

from common.settings import Settings, Smtp

DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter in plain text."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Takes letters; may raise when it cannot."""

    async def send(self, mail: Mail) -> None: ...


def mailer_for(settings: Settings) -> Mailer:
    """The mailer that the settings ask for."""
    if settings.smtp.host:
        return SmtpMailer(settings.smtp, settings.smtp.host)
    return MaildirMailer(settings.data_dir / "mail", settings.smtp.sender)


_MAILDIR = ("tmp", "new", "cur")


class SmtpMailer:
    """Hands letters to a mail server within a deadline."""

    def __init__(self, smtp: Smtp, host: str) -> None:
        self._smtp, self._host = smtp, host

    async def send(self, mail: Mail) -> None:
        async with asyncio.timeout(DEADLINE):
            await aiosmtplib.send(
                letter(mail, self._smtp.sender),
                hostname=self._host,
                port=self._smtp.port,
                username=self._smtp.username,
                password=self._smtp.password.get_secret_value() if self._smtp.password else None,
                start_tls=self._smtp.start_tls,
                timeout=DEADLINE / 2,
            )


class MaildirMailer:
    """Keeps letters as files, one each, where a developer can read them."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder, self._sender = folder, sender

    async def send(self, mail: Mail) -> None:
        await asyncio.to_thread(self._keep, letter(mail, self._sender))

    def _keep(self, message: EmailMessage) -> None:
        # Two first letters may arrive at once, which `Maildir(create=True)` cannot take.
        for part in _MAILDIR:
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        mailbox.Maildir(self._folder, create=False).add(message)


def letter(mail: Mail, sender: str) -> EmailMessage:
    """The message on its way; line breaks in its head are refused by the class itself."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="plaza.invalid")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="7bit" if mail.text.isascii() else "8bit")  # long links stay whole
    return message
