"""One connection to Redis for the bus: commands out, answers and pushes in, nothing that waits per message.

RESP3 lets one connection publish and listen, so what is said, what is heard and the proof that both work take
one way, in order. Answers come in the order of their commands; a subscription is answered by a push.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import hiredis

from common.redis_url import Login

_NOTHING = object()
_MESSAGES = frozenset((b"message", b"smessage"))
_ENDINGS = frozenset((b"unsubscribe", b"sunsubscribe"))

Answer = Callable[[Any], None]
"""Told what a command was answered: a value, or the exception that stands for an error."""
Confirmation = tuple[bytes, bytes]
"""The push that answers a subscription: its kind and its channel. The server also ends some by itself."""


class Refused(Exception):
    """Redis answered with an error, or hung up."""


class Listener(Protocol):
    """Who hears what comes unasked."""

    def heard(self, channel: bytes, data: bytes) -> None: ...

    def unsubscribed(self, channel: bytes) -> None:
        """The server ended a subscription by itself: the shard lives elsewhere now."""
        ...

    def lost(self, wire: "Wire", why: str) -> None:
        """The connection is gone."""
        ...


class Wire(asyncio.Protocol):
    """Owns a transport, a parser, and the commands that are not answered yet."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._asked: deque[tuple[Answer, Confirmation | None]] = deque()

    # -- speaking

    def post(self, answer: Answer, *parts: bytes | str) -> None:
        """Send a command; `answer` is told sooner or later."""
        self._asked.append((answer, None))
        self._write(pack(*parts))

    def subscribe(self, answer: Answer, verb: str, channel: bytes) -> None:
        """Send a command that is confirmed by a push, to `answer`."""
        self._asked.append((answer, (verb.lower().encode(), channel)))
        self._write(pack(verb, channel))

    def post_all(self, commands: list[bytes], answers: list[Answer]) -> None:
        """Send several commands by one write."""
        self._asked.extend((answer, None) for answer in answers)
        self._write(b"".join(commands))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        else:
            self._give_up("closed")

    async def ask(self, *parts: bytes | str) -> Any:
        """Send a command and wait for its answer; raises `Refused`."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settle(value: Any) -> None:
            if not answered.done():
                answered.set_result(value)

        self.post(settle, *parts)
        value = await answered
        if isinstance(value, Exception):
            raise Refused(str(value)) from value
        return value

    async def greet(self, login: Login) -> None:
        """Say who we are and that we speak RESP3; raises `Refused`."""
        words = ["HELLO", "3"]
        if login.password is not None:
            words += ["AUTH", login.username or "default", login.password]
        await self.ask(*words, "SETNAME", "plaza-bus")

    def abort(self) -> None:
        """Hang up at once, whatever waits."""
        if self._transport is not None:
            self._transport.abort()

    # -- hearing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOTHING:
                if isinstance(reply, hiredis.PushNotification):
                    self._take_push(cast("list[Any]", reply))
                else:
                    self._asked.popleft()[0](reply)
        except (hiredis.ProtocolError, IndexError):
            self.abort()  # not Redis, or not in step

    def _take_push(self, push: list[Any]) -> None:
        kind = push[0]
        if kind in _MESSAGES:
            if self._listener is not None:
                self._listener.heard(push[1], push[2])
        elif self._asked and self._asked[0][1] == (kind, push[1]):
            self._asked.popleft()[0](push)
        elif kind in _ENDINGS and self._listener is not None:
            self._listener.unsubscribed(push[1])

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        why = type(exc).__name__ if exc is not None else "closed"
        if self._listener is not None:
            self._listener.lost(self, why)
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        asked, self._asked = self._asked, deque()
        for answer, _ in asked:
            answer(Refused(why))


def pack(*parts: bytes | str) -> bytes:
    """A command as Redis reads it."""
    write = cast("Callable[[tuple[bytes | str, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]
    return write(parts)
