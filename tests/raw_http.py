"""HTTP as no library would write it."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WAIT = 10.0


@dataclass
class RawReply:
    """What came back until the server closed, or nothing more came."""

    text: bytes
    closed: bool

    @property
    def status(self) -> int:
        return int(self.text.split(b" ", 2)[1]) if self.text else 0

    @property
    def body(self) -> Any:
        return json.loads(self.text.partition(b"\r\n\r\n")[2])


async def say(url: str, data: bytes) -> RawReply:
    """Write bytes to the server of `url` and read until it closes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    heard, closed = b"", True
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
    try:
        async with asyncio.timeout(WAIT):
            while chunk := await reader.read(65_536):
                heard += chunk
    except ConnectionError:
        pass
    except TimeoutError:
        closed = False
    writer.close()
    return RawReply(heard, closed)
