"""A socket on its way to becoming a session."""

import asyncio

from realtime.fanout import Packet
from realtime.gateway.notices import ended_packet
from realtime.gateway.session import Session
from realtime.gateway.transport import DISCONNECT_PACKET, EngineSocket


class Peer:
    """A socket and what became of it."""

    __slots__ = (
        "bad",
        "bad_since",
        "expiry",
        "refused",
        "refused_since",
        "session",
        "socket",
        "timer",
        "work",
    )

    def __init__(self, socket: EngineSocket) -> None:
        self.socket = socket
        self.session: Session | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self.work: asyncio.Task[None] | None = None
        self.bad, self.bad_since = 0, 0.0
        self.refused, self.refused_since = 0, 0.0

    def stop_timers(self) -> None:
        for timer in (self.timer, self.expiry):
            if timer is not None:
                timer.cancel()


class SessionSocket:
    """The socket below a session: it says why it closes."""

    __slots__ = ("_socket",)

    def __init__(self, socket: EngineSocket) -> None:
        self._socket = socket

    @property
    def transport(self) -> str:
        return self._socket.transport

    def send(self, packet: Packet, *, ephemeral: bool = False) -> None:
        self._socket.write(packet, ephemeral=ephemeral)

    def close(self, reason: str) -> None:
        self._socket.write(ended_packet(reason))
        self._socket.write(DISCONNECT_PACKET)
        self._socket.drop(reason)
