"""The doorman: the first that a connection meets.

A WebSocket handshake for a new socket that arrives in one piece and is in order becomes a socket at once. It
has one form, so little is read here; what differs in anything is HTTP, and goes to aiohttp just as it came.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from realtime.gateway.turnstile import Turnstile
from realtime.wheel import Wheel

SILENCE = 20.0
"""Seconds a new connection has to say its first words."""

_LONGEST = 8190
_HEAD = re.compile(
    rb"GET /socket\.io/\?([\w=&.~-]*) HTTP/1\.1\r\n((?:[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e]*\r\n)+)\r\n"
)
_HEADER = re.compile(r"([^:]+):([^\r]*)\r\n")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_ELSEWHERE = frozenset({"content-length", "transfer-encoding", "expect"})


@dataclass(frozen=True, slots=True)
class Handshake:
    """The opening handshake of a new WebSocket (RFC 6455, section 4.2.1), and what came behind it."""

    key: str
    origin: str | None
    forwarded: str
    """X-Forwarded-For, empty without."""
    unread: bytes


Welcome = Callable[[asyncio.Transport, Handshake], bool]
"""Makes a socket of a connection; False leaves it to HTTP."""


class Doorman(asyncio.Protocol):
    """Waits for the first words of one connection."""

    __slots__ = ("_hall", "_transport")

    def __init__(self, hall: "Hall") -> None:
        self._hall = hall
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._hall.silent.set(self, SILENCE)
        self._hall.turnstile.come(self._transport)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._hall.silent.cancel(self)
        handshake = read_handshake(data) if self._hall.welcome is not None else None
        if (
            handshake is not None
            and self._hall.welcome is not None
            and self._hall.welcome(transport, handshake)
        ):
            return
        http = self._hall.http()
        transport.set_protocol(http)
        http.connection_made(transport)
        http.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hall.silent.cancel(self)
        self._transport = None

    def turn_out(self) -> None:
        """Who has said nothing has nothing to lose."""
        if self._transport is not None:
            self._transport.abort()


class Hall:
    """What the doormen of one server share. `http` makes the protocol for everything else."""

    def __init__(self, http: Callable[[], asyncio.Protocol], welcome: Welcome | None) -> None:
        self.http, self.welcome = http, welcome
        self.turnstile = Turnstile()
        self.silent: Wheel[Doorman] = Wheel(1.0, Doorman.turn_out)

    def close(self) -> None:
        """Turn out everybody who waits."""
        for doorman in self.silent.items():
            doorman.turn_out()


def read_handshake(data: bytes) -> Handshake | None:
    """The handshake of a new socket at the beginning of `data`; None for anything else."""
    head = _HEAD.match(data)
    if head is None or head.end() > _LONGEST or not _asks_for_a_new_socket(head[1].decode()):
        return None
    headers = _headers(head[2].decode())
    if headers is None or "host" not in headers or _ELSEWHERE & headers.keys():
        return None
    key = headers.get("sec-websocket-key", "")
    is_handshake = (
        headers.get("upgrade", "").lower() == "websocket"
        and _upgrades(headers.get("connection", ""))
        and headers.get("sec-websocket-version") == "13"
        and _KEY.fullmatch(key) is not None
    )
    if not is_handshake:
        return None
    return Handshake(key, headers.get("origin"), headers.get("x-forwarded-for", ""), data[head.end() :])


@lru_cache(256)
def _asks_for_a_new_socket(query: str) -> bool:
    pairs = [pair.partition("=") for pair in query.split("&")]
    asked = {name: value for name, _, value in pairs}
    is_plain = len(asked) == len(pairs) and not {"sid", "token", "access_token"} & asked.keys()
    return is_plain and asked.get("EIO") == "4" and asked.get("transport") == "websocket"


@lru_cache(256)
def _upgrades(connection: str) -> bool:
    return "upgrade" in [word.strip().lower() for word in connection.split(",")]


def _headers(block: str) -> dict[str, str] | None:
    """Names in small letters; None when one stands twice, which is for others to judge."""
    pairs: list[tuple[str, str]] = _HEADER.findall(block)
    headers = {name.lower(): value.strip(" \t") for name, value in pairs}
    return headers if len(headers) == len(pairs) else None
