# The libraries below carry no types, and this is the module that knows their private parts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUnknownParameterType=false
"""Engine.IO packets as they are written: payloads of long polling, and frames."""

import base64
from typing import Any, cast

import orjson
from engineio import packet as engine_packets
from socketio import packet as socket_packets

from realtime.fanout.packets import Packet, binary_frame_of, frame_of

_KINDS = frozenset("1234b")
_SEPARATOR = "\x1e"
_MOST = 500
"""Packets in one POST: clients put everything they have to say into it."""


def packets_of(payload: str) -> list[str | bytes]:
    """The packets of one POST (Engine.IO v4, "payload encoding"); raises `ValueError` for anything else."""
    parts = payload.split(_SEPARATOR)
    if len(parts) > _MOST or not all(part[:1] in _KINDS and part for part in parts):
        raise ValueError("not a payload")
    return [base64.b64decode(part[1:], validate=True) if part[0] == "b" else part for part in parts]


def packet_frame(pkt: engine_packets.Packet) -> bytes:
    """The WebSocket frame of a packet of the library's."""
    encoded = cast("str | bytes", pkt.encode())
    return frame_of(encoded.encode()) if isinstance(encoded, str) else binary_frame_of(encoded)


def opening_frame(greeting: dict[str, Any]) -> bytes:
    """The frame with which the server greets a new WebSocket."""
    return frame_of(b"%d" % engine_packets.OPEN + orjson.dumps(greeting))


def connected_packet(sid: str) -> Packet:
    """Socket.IO's answer to CONNECT."""
    return Packet(f'{socket_packets.CONNECT}{{"sid":"{sid}"}}')


def refused_packet(data: dict[str, Any]) -> Packet:
    """Socket.IO's refusal of a CONNECT."""
    return Packet(cast("str", socket_packets.Packet(socket_packets.CONNECT_ERROR, data).encode()))
