"""A socket on its way to becoming a session."""

import asyncio

from realtime.gateway.session import Session
from realtime.gateway.transport import EngineSocket


class Peer:
    """A socket, what became of it, and how it behaves. `work` is its authentication while that lasts."""

    __slots__ = ("bad", "bad_since", "refused", "refused_since", "session", "socket", "work")

    def __init__(self, socket: EngineSocket) -> None:
        self.socket = socket
        self.session: Session | None = None
        self.work: asyncio.Task[None] | None = None
        self.bad, self.bad_since = 0, 0.0
        self.refused, self.refused_since = 0, 0.0
