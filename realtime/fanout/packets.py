"""What travels: a Socket.IO packet, encoded once, and the delivery that says where it goes.

Packet text is Socket.IO protocol v5 (`2["event",{…}]`) behind Engine.IO v4's message type `4`;
a frame is an unmasked, final WebSocket text frame (RFC 6455, section 5.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from realtime.channels import Publication

MAX_SHORT, MAX_MEDIUM = 126, 65_536


def _size_of(size: int) -> bytes:
    if size < MAX_SHORT:
        return size.to_bytes(1, "big")
    if size < MAX_MEDIUM:
        return b"\x7e" + size.to_bytes(2, "big")
    return b"\x7f" + size.to_bytes(8, "big")


_SHORT_HEADS = [b"\x81" + _size_of(size) for size in range(MAX_SHORT)]


def _head_of(size: int) -> bytes:
    """What stands before the `size` bytes of a text."""
    return _SHORT_HEADS[size] if size < MAX_SHORT else b"\x81" + _size_of(size)


def frame_of(payload: bytes) -> bytes:
    """A WebSocket text frame around `payload`."""
    return _head_of(len(payload)) + payload


def binary_frame_of(payload: bytes) -> bytes:
    """A WebSocket binary frame around `payload`."""
    return b"\x82" + _size_of(len(payload)) + payload


class Packet:
    """A Socket.IO packet ready to be sent any number of times."""

    __slots__ = ("_frame", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._frame: bytes | None = None

    @classmethod
    def of_frame(cls, frame: bytes) -> "Packet":
        """The packet another node framed; raises `ValueError` for what is no such frame."""
        size = len(frame)
        head = 2 if size < MAX_SHORT + 2 else 4 if size < MAX_MEDIUM + 4 else 10
        if frame[head : head + 1] != b"4" or frame[:head] != _head_of(size - head):
            raise ValueError("not a frame of ours")
        packet = cls(frame[head + 1 :].decode())
        packet._frame = frame
        return packet

    @property
    def frame(self) -> bytes:
        """The packet as a WebSocket frame, built on first use."""
        if self._frame is None:
            self._frame = frame_of(f"4{self.text}".encode())
        return self._frame


def packet_of(publication: Publication, position: int | None = None) -> Packet:
    """Encode a publication; a logged one carries its position in the log as `pos`."""
    return _packet(publication.event, publication.model_dump_json(by_alias=True), position)


def stored_packet(event: str, data: Mapping[str, Any], position: int | None = None) -> Packet:
    """The packet of a publication as a log kept it."""
    return _packet(event, orjson.dumps(dict(data)).decode(), position)


def _packet(event: str, body: str, position: int | None) -> Packet:
    if position is not None:
        rest = body[1:]
        body = f'{{"pos":{position}}}' if rest == "}" else f'{{"pos":{position},{rest}'
    return Packet(f'2["{event}",{body}]')


@dataclass(slots=True)
class Delivery:
    """A packet for the listeners of some channels.

    `position` makes it an entry of the stream named by its (single) channel. `join` and `leave` tell the
    connections of that channel to listen to another one, or to stop. `close` ends them with that reason.
    """

    channels: tuple[str, ...]
    packet: Packet | None = None
    position: int | None = None
    ephemeral: bool = False
    join: tuple[str, int] | None = None
    leave: str | None = None
    close: str | None = None
    but_for: str | None = None
    origin: str | None = None
    """The person whose message it is."""

    def to_bus(self) -> list[Any]:
        """A row of plain values for the bus; the packet's frame follows apart, only its size is here."""
        names = self.channels
        row: list[Any] = [
            names[0] if len(names) == 1 else names,
            len(self.packet.frame) if self.packet is not None else None,
            self.position,
            self.ephemeral,
            self.origin,
        ]
        if self.join or self.leave or self.close:
            row += (self.join, self.leave, self.close, self.but_for)
        return row

    @classmethod
    def from_bus(cls, row: list[Any], frame: bytes | None) -> "Delivery":
        """Check and rebuild what `to_bus` made; raises `ValueError` for anything else."""
        names, _, position, ephemeral, origin = row[:5]
        names = (names,) if type(names) is str else _names(names)
        _check(position is None or (type(position) is int and position > 0 and len(names) == 1))
        _check(type(ephemeral) is bool and (origin is None or type(origin) is str))
        delivery = cls(names, None if frame is None else Packet.of_frame(frame), position, ephemeral)
        delivery.origin = origin
        if len(row) != 5:
            delivery.join, delivery.leave, delivery.close, delivery.but_for = _orders(row[5:])
        return delivery


def _names(value: Any) -> tuple[str, ...]:
    _check(type(value) is list and len(value) > 0)
    names = cast("list[Any]", value)
    _check(all(type(name) is str for name in names))
    return tuple(names)


def _orders(values: list[Any]) -> tuple[tuple[str, int] | None, str | None, str | None, str | None]:
    join, *words = values
    _check(len(words) == 3 and all(word is None or type(word) is str for word in words))
    match join:
        case None:
            return None, words[0], words[1], words[2]
        case [str() as name, int() as head]:
            return (name, head), words[0], words[1], words[2]
        case _:
            raise ValueError("not a delivery")


def _check(fits: bool) -> None:
    if not fits:
        raise ValueError("not a delivery")
