"""Passwords: what a password may be, and bcrypt off the event loop behind a bounded queue."""

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

import bcrypt
from pydantic import AfterValidator

from common import metrics
from common.errors import Overloaded

T = TypeVar("T")

MIN_CHARACTERS = 8
MAX_BYTES = 72
"""bcrypt reads no further; a longer password is refused, never cut."""

WORKERS = 2
WAITING = 64


def _presentable(password: str) -> str:
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise ValueError("the password is not text") from None
    if size > MAX_BYTES:
        raise ValueError(f"a password has at most {MAX_BYTES} bytes")
    if "\0" in password:
        raise ValueError("a password has no NUL character")
    return password


def _choosable(password: str) -> str:
    if len(_presentable(password)) < MIN_CHARACTERS:
        raise ValueError(f"a password has at least {MIN_CHARACTERS} characters")
    return password


Password = Annotated[str, AfterValidator(_presentable)]
"""A password somebody shows, to be compared."""

NewPassword = Annotated[str, AfterValidator(_choosable)]
"""A password somebody chooses."""


class Passwords:
    """Hashes and compares in two threads. `computed` says how often bcrypt has run."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="bcrypt")
        self._pending = 0
        self._nobodys = _unmatched_hash(cost)
        self.computed = 0

    async def hash(self, password: str) -> str:
        """The hash to keep; raises `Overloaded` when too many wait."""
        return (
            await self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._cost)))
        ).decode()

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password. Without a hash it costs the same time and is wrong."""
        against = (hashed or self._nobodys).encode()
        return await self._run(lambda: bcrypt.checkpw(password.encode(), against)) and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether it was made at another cost than today's."""
        return not hashed.startswith(f"$2b${self._cost:02d}$")

    def close(self) -> None:
        """Give up what waits and end the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= WORKERS + WAITING:
            raise Overloaded(retry_after=1.0)
        self._pending += 1
        metrics.hash_waiting.inc()
        self.computed += 1
        job = self._pool.submit(work)
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: _back_on(loop, self._finished))
        return await asyncio.wrap_future(job)

    def _finished(self) -> None:
        self._pending -= 1
        metrics.hash_waiting.dec()


def _back_on(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


def _unmatched_hash(cost: int) -> str:
    """A well-formed hash that belongs to no password anybody knows."""
    salt = bcrypt.gensalt(cost).decode()
    standard = base64.b64encode(os.urandom(24)).decode()[:31]
    return salt + standard.replace("+", ".")
