"""From packets to commands. Nothing here waits, so what a client says keeps its order."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from common import metrics
from common.errors import AppError, BadRequest, RateLimited
from common.ids import new_id
from realtime.actors import Actors
from realtime.gateway import packets
from realtime.gateway.actor import Do, begin, refusal_packet
from realtime.gateway.commands import Command, CommandTable
from realtime.gateway.peer import Peer
from realtime.gateway.session import Session
from realtime.gateway.transport import EngineSocket

MAX_BAD_PACKETS = 10
BAD_PACKET_WINDOW = 60.0
FLOOD = 200
FLOOD_WINDOW = 60.0
"""Commands refused for their rate within one window before the socket is closed."""


class NotConnected(BadRequest):
    code, status, text = "not_connected", 401, "Connect with a token first."


class Intake:
    """Takes what sockets say: refuses it, runs it here and now, or leaves it to the session's actor."""

    def __init__(
        self, table: CommandTable, actors: Actors, depth: int, connect: Callable[[Peer, Any], None]
    ) -> None:
        self._table, self._actors, self._depth, self._connect = table, actors, depth, connect
        self.wait: Callable[[str], float] | None = None
        """Takes one from a person's rate budget: the seconds until there is one again, or 0."""

    def received(self, socket: EngineSocket, data: str | bytes) -> None:
        """A message came on a socket."""
        peer: Peer = socket.peer
        if not isinstance(data, str):
            self.refuse(peer, None, packets.BinaryNotSupported())
            return
        packet = packets.parse(data, self._depth)
        if packet.error is not None:
            self.refuse(peer, packet.ack, packet.error)
        elif packet.type == packets.EVENT:
            self._command(peer, packet)
        elif packet.type == packets.CONNECT:
            self._connect(peer, packet.payload)
        elif packet.type == packets.DISCONNECT:
            socket.drop("client disconnect")
        else:
            metrics.commands.labels("ack", "ignored").inc()

    def _command(self, peer: Peer, packet: packets.Incoming) -> None:
        session = peer.session
        if session is None:
            self.refuse(peer, packet.ack, NotConnected())
            return
        try:
            if self.wait is not None and (seconds := self.wait(session.user_id)):
                _flooded(peer)
                raise RateLimited(retry_after=seconds)
            self._begin(session, self._table.find(packet.event), packet)
        except AppError as error:
            metrics.commands.labels(self._known(packet.event), error.code).inc()
            session.send(refusal_packet(packet.ack, error, new_id()))

    def _begin(self, session: Session, command: Command, packet: packets.Incoming) -> None:
        """Run a command now, behind those in front of it; what has to wait for something is the actor's."""
        left = None
        if not self._actors.is_busy("session", session.id):
            left = begin(session, command, packet)
            if left is None:
                return
        try:
            self._actors.tell("session", session.id, Do(command, packet, time.perf_counter(), left))
        except AppError:
            if left is not None:
                left.close()
            raise

    def _known(self, name: str) -> str:
        return name if name in self._table else "unknown"

    def refuse(self, peer: Peer, ack: int | None, error: AppError) -> None:
        """Answer what is not a command; a socket that keeps sending rubbish is closed."""
        refusal = refusal_packet(ack, error, new_id())
        if peer.session is not None:
            peer.session.send(refusal)
        else:
            peer.socket.write(refusal)
        now = time.monotonic()
        if now - peer.bad_since > BAD_PACKET_WINDOW:
            peer.bad, peer.bad_since = 0, now
        peer.bad += 1
        if peer.bad > MAX_BAD_PACKETS:
            asyncio.get_running_loop().call_soon(peer.socket.drop, "bad_packets")


def _flooded(peer: Peer) -> None:
    now = time.monotonic()
    if now - peer.refused_since > FLOOD_WINDOW:
        peer.refused, peer.refused_since = 0, now
    peer.refused += 1
    if peer.refused == FLOOD:
        asyncio.get_running_loop().call_soon(peer.socket.drop, "flood")
