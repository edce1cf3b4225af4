"""Mail: to a server when there is one, into a maildir when there is none."""

import asyncio
import mailbox
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.mail import Mail, MaildirMailer, SmtpMailer, mailer_for
from common.settings import Settings, Smtp

LETTER = Mail(
    "ann@example.org", "Choose another password", "Hello Zoë,\n\nhttps://example.org/?token=" + "x" * 90
)


@dataclass
class PostOffice:
    """A mail server that takes everything."""

    port: int = 0
    letters: list[str] = field(default_factory=list[str])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).decode().strip():
            if line.upper().startswith("DATA"):
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.letters.append(content.decode())
                writer.write(b"250 taken\r\n")
            elif line.upper().startswith("EHLO"):
                writer.write(b"250-here\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            elif line.upper().startswith("QUIT"):
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()


@pytest.fixture
async def post_office() -> AsyncIterator[PostOffice]:
    office = PostOffice()
    async with await asyncio.start_server(office.serve, "127.0.0.1", 0) as server:
        office.port = server.sockets[0].getsockname()[1]
        yield office


async def test_a_letter_reaches_the_server(post_office: PostOffice) -> None:
    smtp = Smtp(host="127.0.0.1", port=post_office.port, start_tls=False, sender="Plaza <p@example.org>")

    await SmtpMailer(smtp, "127.0.0.1").send(LETTER)

    letter = post_office.letters[0]
    assert "To: ann@example.org" in letter
    assert "From: Plaza <p@example.org>" in letter
    assert "Hello Zoë," in letter
    assert "token=" + "x" * 90 in letter


async def test_a_server_that_is_not_there_is_an_error_soon() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(OSError):
            await SmtpMailer(Smtp(start_tls=False, port=1), "127.0.0.1").send(LETTER)


async def test_without_a_server_letters_are_kept_as_files(tmp_path: Path) -> None:
    mailer = mailer_for(Settings(data_dir=tmp_path, smtp=Smtp()))
    assert isinstance(mailer, MaildirMailer)

    await asyncio.gather(*(mailer.send(LETTER) for _ in range(5)))

    letters = list(mailbox.Maildir(tmp_path / "mail"))
    assert len(letters) == 5
    assert letters[0]["Subject"] == LETTER.subject
    raw = next((tmp_path / "mail" / "new").iterdir()).read_text()
    assert LETTER.text.splitlines()[-1] in raw


@pytest.mark.parametrize("field", ["to", "subject"])
async def test_a_line_break_adds_no_header(tmp_path: Path, field: str) -> None:
    values = {"to": "ann@example.org", "subject": "x", "text": "x", field: "x\r\nBcc: all@example.org"}
    with pytest.raises(ValueError, match="linefeed"):
        await MaildirMailer(tmp_path / "mail", "Plaza <p@example.org>").send(Mail(**values))
