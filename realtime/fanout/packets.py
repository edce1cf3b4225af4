"""What travels: a Socket.IO packet, encoded once, and the delivery that says where it goes.

Packet text is Socket.IO protocol v5 (`2["event",{…}]`) behind Engine.IO v4's message type `4`;
a frame is an unmasked, final WebSocket text frame (RFC 6455, section 5.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from realtime.channels import Publication

MAX_SHORT, MAX_MEDIUM = 126, 65_536


def frame_of(payload: bytes) -> bytes:
    """A WebSocket text frame around `payload`."""
    size = len(payload)
    if size < MAX_SHORT:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < MAX_MEDIUM:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Packet:
    """A Socket.IO packet ready to be sent any number of times."""

    __slots__ = ("_frame", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The packet as a WebSocket frame, built on first use."""
        if self._frame is None:
            self._frame = frame_of(b"4" + self.text.encode())
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
        """Plain values in a fixed order, for the bus."""
        text = self.packet.text if self.packet else None
        return [
            list(self.channels),
            text,
            self.position,
            self.ephemeral,
            list(self.join) if self.join else None,
            self.leave,
            self.close,
            self.but_for,
            self.origin,
        ]

    @classmethod
    def from_bus(cls, values: list[Any]) -> "Delivery":
        """Check and rebuild what `to_bus` made; raises `ValueError` for anything else."""
        match values:
            case [list(), _, _, bool(), _, *names] if len(names) == 4:
                channels, text, position, ephemeral, join = values[:5]
            case _:
                raise ValueError("not a delivery")
        _check(all(isinstance(name, str) for name in channels) and len(channels) > 0)
        _check(all(name is None or isinstance(name, str) for name in (text, *names)))
        _check(position is None or (isinstance(position, int) and position > 0))
        _check(join is None or _is_join(join))
        return cls(
            tuple(channels),
            Packet(text) if text is not None else None,
            position,
            ephemeral,
            (join[0], join[1]) if join else None,
            *names,
        )


def _is_join(value: Any) -> bool:
    match value:
        case [str(), int()]:
            return True
        case _:
            return False


def _check(fits: bool) -> None:
    if not fits:
        raise ValueError("not a delivery")
