"""A session: one authenticated connection, as features see it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from common.ids import Id
from common.tokens import TokenExpired
from realtime.fanout import Packet


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token stands for. `login_id` is the log-in (the device); `expires_at` is Unix time."""

    user_id: Id
    username: str
    login_id: Id
    expires_at: float


class Authenticator(Protocol):
    """Turns an access token into an identity, or raises `Unauthenticated`."""

    async def authenticate(self, token: str) -> Identity: ...


class Socket(Protocol):
    """The transport below a session."""

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        ...

    def send(self, packet: Packet, *, ephemeral: bool = False) -> None: ...

    def close(self, reason: str) -> None: ...


class Session:
    """One connection of one person. It is also the `Connection` that fan-out writes to."""

    __slots__ = ("address", "channels", "id", "identity", "is_open", "on_extend", "quiet", "socket")

    def __init__(self, connection_id: str, identity: Identity, socket: Socket, address: str) -> None:
        self.id = connection_id
        self.identity = identity
        self.socket = socket
        self.address = address
        self.channels: set[str] = set()
        self.quiet: set[str] = set()
        self.is_open = True
        self.on_extend: Callable[[], None] | None = None

    @property
    def user_id(self) -> Id:
        return self.identity.user_id

    @property
    def login_id(self) -> Id:
        return self.identity.login_id

    def send(self, packet: Packet, *, ephemeral: bool = False) -> None:
        self.socket.send(packet, ephemeral=ephemeral)

    def close(self, reason: str) -> None:
        self.socket.close(reason)

    def require_fresh(self) -> None:
        """Refuse to act for a token that has run out."""
        if self.identity.expires_at <= time.time():
            raise TokenExpired

    def extend(self, identity: Identity) -> None:
        """Live on with a newer token of the same person."""
        self.identity = identity
        if self.on_extend is not None:
            self.on_extend()
