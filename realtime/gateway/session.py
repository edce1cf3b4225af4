"""A session: one authenticated connection, as features see it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from common.ids import Id
from common.tokens import TokenExpired
from realtime.fanout import LocalFanout, Outlet, Packet
from realtime.gateway.notices import DISCONNECT_PACKET, ended_packet


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


class Socket(Outlet, Protocol):
    """The transport below a session."""

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        ...

    @property
    def address(self) -> str: ...

    def drop(self, reason: str) -> None: ...


class Session:
    """One connection of one person. It is also the `Connection` that fan-out writes to."""

    __slots__ = ("_local", "channels", "id", "identity", "is_open", "on_extend", "socket")

    def __init__(self, connection_id: str, identity: Identity, socket: Socket, local: LocalFanout) -> None:
        self.id = connection_id
        self.identity = identity
        self.socket = socket
        self._local = local
        self.channels: set[str] = set()
        self.is_open = True
        self.on_extend: Callable[[Session], None] | None = None

    @property
    def user_id(self) -> Id:
        return self.identity.user_id

    @property
    def login_id(self) -> Id:
        return self.identity.login_id

    @property
    def address(self) -> str:
        return self.socket.address

    def send(self, packet: Packet) -> None:
        """Write to this connection alone, behind what was said on its channels before."""
        self._local.tell(self, packet)

    def hush(self, channel: str) -> None:
        """Hear nothing ephemeral on `channel`, until `unhush`."""
        self._local.hush(self, channel)

    def unhush(self, channel: str) -> None:
        self._local.unhush(self, channel)

    def close(self, reason: str) -> None:
        """Say why, and close."""
        self._local.flush()
        self.socket.write(ended_packet(reason))
        self.socket.write(DISCONNECT_PACKET)
        self.socket.drop(reason)

    def require_fresh(self) -> None:
        """Refuse to act for a token that has run out."""
        if self.identity.expires_at <= time.time():
            raise TokenExpired

    def extend(self, identity: Identity) -> None:
        """Live on with a newer token of the same person."""
        self.identity = identity
        if self.on_extend is not None:
            self.on_extend(self)
