"""Reading what clients send: Socket.IO protocol v5 packets, strictly.

A packet is `<type>[<namespace>,][<ack id>]<JSON>`. Only the default namespace exists and nothing is binary.
"""

import re
from dataclasses import dataclass
from typing import Any, cast

import orjson

from common.errors import BadRequest, Invalid

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = "0123456"
MAX_EVENT_NAME = 64
_LONGEST_HEAD = 17
"""Where the data of an event begins at the latest: the type and 15 digits come before it."""

_HEAD = re.compile(r"(?:/,)?(\d{1,15})?(?=[^\d]|$)")
_BINARY_HEAD = re.compile(r"\d{0,10}-(?:/,)?(\d{1,15})?(?=[^\d]|$)")


class BadPacket(BadRequest):
    code, text = "bad_packet", "That is not a Socket.IO packet."


class BadNamespace(BadRequest):
    code, text = "bad_namespace", "Only the default namespace exists."


class BadEventName(BadRequest):
    code, text = "bad_event_name", "An event starts with its name, a string of at most 64 characters."


class BinaryNotSupported(BadRequest):
    code, text = "binary_not_supported", "Binary data does not go over the socket. Upload it."


class TooDeep(Invalid):
    code, text = "too_deep", "The JSON is nested too deeply."


@dataclass(slots=True)
class Incoming:
    """One packet: its type, and for events the name, the payload and the ack id."""

    type: str
    ack: int | None = None
    event: str = ""
    payload: Any = None
    error: BadRequest | Invalid | None = None
    """Why the packet must be refused; it is still answered when it has an ack id."""


def parse(text: str, max_depth: int) -> Incoming:
    """Read a packet. Never raises: what is wrong with it is its `error`."""
    kind = text[:1]
    if kind == EVENT and (start := text.find("[", 1, _LONGEST_HEAD)) > 0:
        number = text[1:start]
        if not number or number.isdecimal():
            packet = Incoming(kind, int(number) if number else None)
            _read_data(packet, text[start:], max_depth)
            return packet
    head = (_BINARY_HEAD if kind in (BINARY_EVENT, BINARY_ACK) else _HEAD).match(text, 1)
    if kind not in "0123456" or not kind:
        return Incoming(kind, error=BadPacket())
    if text.startswith("/", 1) and not text.startswith("/,", 1) and text[1:] != "/":
        return Incoming(kind, error=BadNamespace())
    if head is None:
        return Incoming(kind, error=BadPacket())
    packet = Incoming(kind, int(head[1]) if head[1] else None)
    if kind in (BINARY_EVENT, BINARY_ACK):
        packet.error = BinaryNotSupported()
    elif kind in (CONNECT, EVENT):
        _read_data(packet, text[head.end() :], max_depth)
    elif kind == CONNECT_ERROR:
        packet.error = BadPacket()
    return packet


def _read_data(packet: Incoming, data: str, max_depth: int) -> None:
    try:
        value: Any = orjson.loads(data) if data and data != "/" else None
    except orjson.JSONDecodeError as error:
        packet.error = _what_is_wrong(data, str(error))
        return
    if data.count("[") + data.count("{") > max_depth and depth(value) > max_depth:
        packet.error = TooDeep()
    elif packet.type == CONNECT:
        packet.payload = value
    else:
        _read_event(packet, value)


def _what_is_wrong(data: str, message: str) -> BadRequest | Invalid:
    """Broken JSON is a bad packet; well-formed JSON with values JSON does not know is a bad payload."""
    if "recursion" in message:
        return TooDeep()
    if "surrogate" in message or "infinity" in message or re.search(r"\b(NaN|Infinity)\b", data):
        return Invalid("Numbers must be finite and text must be valid Unicode.")
    return BadPacket()


def _read_event(packet: Incoming, value: Any) -> None:
    if value.__class__ is list and len(value) == 2:
        name, payload = value
        if type(name) is str and type(payload) is dict and 0 < len(name) <= MAX_EVENT_NAME:
            packet.event, packet.payload = name, payload
            return
    _read_unusual_event(packet, value)


def _read_unusual_event(packet: Incoming, value: Any) -> None:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    name = items[0] if items else None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_EVENT_NAME:
        packet.error = BadEventName()
        return
    packet.event = name
    if len(items) > 2:
        packet.error = Invalid.field("body", "an event carries exactly one object")
        return
    packet.payload = items[1] if len(items) == 2 else {}
    if not isinstance(packet.payload, dict):
        packet.error = Invalid.field("body", "an event carries exactly one object")


def depth(value: Any) -> int:
    """How deeply lists and objects are nested."""
    level, layer = 0, [value]
    while layer:
        inner: list[Any] = []
        for item in layer:
            if isinstance(item, dict):
                inner.extend(cast("dict[str, Any]", item).values())
            elif isinstance(item, list):
                inner.extend(cast("list[Any]", item))
        if not any(isinstance(item, dict | list) for item in layer):
            return level
        level, layer = level + 1, inner
    return level
