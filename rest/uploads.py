"""Multipart uploads, read while they come: fields in memory, the file in pieces, never the whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError as PayloadError

from common.errors import AppError, FieldError, Invalid, RateLimited, TooLarge
from rest.access import VERDICT
from rest.reply import caller, services
from rest.validation import BrokenBody, UnsupportedType

T = TypeVar("T")

MOST_PARTS = 24
MOST_FIELD = 8192
PIECE = 65_536
SLOWEST = 32_768
"""So many bytes have to come in the time that an upload may stand still."""
OVERHEAD = 65_536
"""What a form may be longer than its file."""
_PLAIN = {"", "binary", "8bit", "7bit"}


class UploadStalled(AppError):
    code, status, retryable = "upload_stalled", 408, True
    text = "The upload came too slowly, or stood still."


class UploadForm:
    """A form with one file. Its fields are all there once the file's bytes have been read to the end."""

    def __init__(
        self,
        request: web.Request,
        name: str,
        most: int,
        check: Callable[[dict[str, str]], object] | None = None,
    ) -> None:
        self._request, self._name, self._most, self._check = request, name, most, check
        self._idle = services(request).settings.media.idle
        self.fields: dict[str, str] = {}
        self.filename = ""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes; raises what is wrong with the form as soon as it is known."""
        announced = self._request.content_length
        if announced is not None and announced > self._most + OVERHEAD:
            raise TooLarge
        try:
            async for piece in self._pieces(await self._reader()):
                yield piece
        except (ConnectionError, PayloadError, HttpProcessingError, ValueError, AssertionError):
            raise BrokenBody from None
        if self._check is not None:
            self._check(self.fields)

    async def _reader(self) -> MultipartReader:
        if self._request.content_type != "multipart/form-data":
            raise UnsupportedType
        return await self._request.multipart()

    async def _pieces(self, reader: MultipartReader) -> AsyncIterator[bytes]:
        found = False
        pace = _Pace(self._idle)
        for _ in range(MOST_PARTS):
            part = await pace.keep(reader.next())
            if part is None:
                break
            if not isinstance(part, BodyPartReader) or not (_is_plain(part) and _is_text(part.name or "")):
                raise BrokenBody
            if part.name != self._name and part.filename is None:
                await self._take_field(part, pace)
                continue
            if found or part.name != self._name:
                raise Invalid.field(part.name or "file", f"send one file, as {self._name}")
            found, self.filename = True, part.filename or ""
            while piece := await pace.keep(part.read_chunk(PIECE)):
                pace.count(len(piece))
                yield bytes(piece)
        else:
            raise BrokenBody
        if not found:
            raise Invalid(errors=[FieldError(self._name, "is required")])

    async def _take_field(self, part: BodyPartReader, pace: "_Pace") -> None:
        name, value = part.name or "", bytearray()
        while piece := await pace.keep(part.read_chunk(PIECE)):
            pace.count(len(piece))
            value += piece
            if len(value) > MOST_FIELD:
                raise Invalid.field(name[:100], "is too long")
        if name in self.fields:
            raise Invalid.field(name[:100], "is given more than once")
        try:
            self.fields[name] = value.decode()
        except UnicodeDecodeError:
            raise Invalid.field(name[:100], "is not UTF-8") from None


def _is_plain(part: BodyPartReader) -> bool:
    """Whether its bytes are what they are: nobody has to send Base64, and decoders of it have had holes."""
    return part.headers.get("Content-Transfer-Encoding", "").lower() in _PLAIN


def _is_text(name: str) -> bool:
    """Whether its bytes were UTF-8: what was not comes in halves of characters, which no answer can name."""
    return not any("\ud800" <= char <= "\udfff" for char in name)


async def raw_body(request: web.Request, most: int) -> AsyncIterator[bytes]:
    """The body as it comes; raises `TooLarge`, `UploadStalled`, `BrokenBody`."""
    if (request.content_length or 0) > most:
        raise TooLarge
    pace, size = _Pace(services(request).settings.media.idle), 0
    try:
        while piece := await pace.keep(request.content.read(PIECE)):
            pace.count(len(piece))
            size += len(piece)
            if size > most:
                raise TooLarge
            yield piece
    except (ConnectionError, PayloadError, HttpProcessingError):
        raise BrokenBody from None


class _Pace:
    """Sees to it that bytes keep coming: so many in each stretch of time, or it is over."""

    def __init__(self, seconds: float) -> None:
        self._loop, self._seconds = asyncio.get_running_loop(), seconds
        self._came, self._ends = 0, self._loop.time() + seconds

    def count(self, size: int) -> None:
        self._came += size

    async def keep(self, waiting: Awaitable[T]) -> T:
        """What comes next; raises `UploadStalled` when too little has come for too long."""
        now = self._loop.time()
        if now >= self._ends:
            if self._came < SLOWEST:
                raise UploadStalled
            self._came, self._ends = 0, now + self._seconds
        try:
            async with asyncio.timeout_at(self._ends if self._came < SLOWEST else now + self._seconds):
                return await waiting
        except TimeoutError:
            raise UploadStalled from None


def charge(request: web.Request) -> None:
    """Take an upload from the caller's budget of uploads; raises `RateLimited`."""
    verdict = services(request).limits.hit("upload", caller(request).user_id)
    request[VERDICT] = verdict
    if not verdict.allowed:
        raise RateLimited(retry_after=verdict.retry_after)
