"""Copies as files: a ZIP that grows as it is written, and the JSON in it."""

import asyncio
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any, cast

import orjson

from common.ids import Id

_READABLE = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_INDENT_2


class Archive:
    """A ZIP file. Each call gives the bytes that it adds; packing is done in a thread."""

    def __init__(self, made_at: datetime) -> None:
        self._grown = _Grown()
        self._date = made_at.timetuple()[:6]
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._grown), "w", zipfile.ZIP_DEFLATED)
        self._file: Any = None

    async def begin(self, name: str) -> bytes:
        """End the file before, and begin the next."""
        return await asyncio.to_thread(self._begin, name)

    async def write(self, data: bytes) -> bytes:
        return await asyncio.to_thread(self._write, data)

    async def write_rows(self, rows: Sequence[Mapping[str, Any]], *, first: bool) -> bytes:
        """Go on with a JSON array."""
        return await asyncio.to_thread(lambda: self._write(_json(rows, first=first)))

    async def finish(self) -> bytes:
        """End the last file, and list them all."""
        return await asyncio.to_thread(self._finish)

    def _begin(self, name: str) -> bytes:
        self._end()
        entry = zipfile.ZipInfo(name, self._date)
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        self._file = self._zip.open(entry, "w", force_zip64=True)
        return self._grown.take()

    def _write(self, data: bytes) -> bytes:
        self._file.write(data)
        return self._grown.take()

    def _finish(self) -> bytes:
        self._end()
        self._zip.close()
        return self._grown.take()

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()


class _Grown:
    """What a ZIP file writes to when it cannot go back."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._data = bytes(self._data), bytearray()
        return taken


def _json(rows: Sequence[Mapping[str, Any]], *, first: bool) -> bytes:
    encoded = [orjson.dumps(row, default=str, option=_READABLE) for row in rows]
    return (b"\n" if first else b",\n") + b",\n".join(encoded)


def manifest(user_id: Id, asked_at: datetime, made_at: datetime, counts: Mapping[str, int]) -> bytes:
    """What a copy holds."""
    about = {
        "about": "What Plaza stored about you, as JSON. Times are UTC.",
        "user_id": user_id,
        "asked_at": asked_at,
        "made_at": made_at,
        "files": {f"{name}.json": count for name, count in counts.items()},
    }
    return orjson.dumps(about, option=_READABLE)
