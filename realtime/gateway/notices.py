"""What the gateway itself tells clients."""

import random

from pydantic import ConfigDict

from realtime.channels import Publication, Wire
from realtime.fanout import Packet, packet_of
from realtime.policy import Verb


class SessionEnded(Publication, event="session_ended", verb=Verb.OWN):
    """This socket is about to be closed. `code` says why, like `signed_out` or `token_expired`."""

    code: str


class ServerDraining(Publication, event="server_draining", verb=Verb.TAKE_PART):
    """This server is about to stop. Reconnect after `reconnect_after_ms`, a random time for each client."""

    model_config = ConfigDict(alias_generator=None)

    reconnect_after_ms: int


class FieldProblem(Wire):
    """One field that does not fit."""

    field: str
    message: str


class ErrorRaised(Publication, event="error", verb=Verb.OWN):
    """A packet or an event without ack id was refused. The payload is the error object of REST answers."""

    model_config = ConfigDict(alias_generator=None)

    success: bool
    error: str
    message: str
    detail: dict[str, object] | None
    status_code: int
    code: str
    retryable: bool
    request_id: str
    errors: list[FieldProblem] | None = None


def ended_packet(code: str) -> Packet:
    return packet_of(SessionEnded(code=code))


def draining_packet(spread_ms: int) -> Packet:
    """Each call draws another moment to come back."""
    return packet_of(ServerDraining(reconnect_after_ms=random.randrange(spread_ms)))  # noqa: S311  (jitter)


DISCONNECT_PACKET = Packet("1")
"""Socket.IO's goodbye."""
