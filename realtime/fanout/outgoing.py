"""Writing to sockets: what one tick of the event loop has to say is joined and written once per channel.

A packet's frame is the same for every reader. Most readers take it at once, so it goes to their sockets in
one loop that runs in C; only those who are behind, or who poll, are asked one by one.
"""

import asyncio
import socket as sockets
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import repeat
from typing import Protocol

from common import metrics
from realtime import channels
from realtime.fanout.packets import Delivery, Packet

JOINED_BYTES = 65_536
"""Frames are joined up to about this size; one write takes no more from a quiet reader's kernel anyway."""


NOWHERE = sockets.socket()
"""A closed socket: writing to it fails at once."""
NOWHERE.close()


class Outlet(Protocol):
    """Where the packets for one connection go."""

    direct: sockets.socket
    """Takes whole frames directly, or is `NOWHERE`."""

    def write(self, packet: Packet, *, ephemeral: bool = False) -> None: ...

    def finish(self, frame: bytes, written: int) -> None:
        """`direct` took `written` bytes of `frame`; below 0 it broke. The rest is the outlet's."""
        ...


class Connection(Protocol):
    """A socket as fan-out sees it."""

    @property
    def id(self) -> str: ...

    @property
    def user_id(self) -> str: ...

    @property
    def channels(self) -> set[str]: ...

    @property
    def socket(self) -> Outlet: ...

    def close(self, reason: str) -> None: ...


class Outgoing:
    """What waits for the end of this tick. Within a channel, and for one connection, order is kept."""

    def __init__(self, listeners: Callable[[str], Collection[Connection]]) -> None:
        self._listeners = listeners
        self._waiting: dict[str, list[Delivery]] = {}
        self._direct: list[tuple[Connection, Packet]] = []
        self._quiet: dict[str, set[Connection]] = {}

    # -- who wants no ephemeral packets

    def hush(self, connection: Connection, channel: str) -> None:
        """Spare a connection the ephemeral packets of a channel."""
        self._quiet.setdefault(channel, set()).add(connection)

    def unhush(self, connection: Connection, channel: str) -> None:
        """Spare it no longer."""
        spared = self._quiet.get(channel)
        if spared is not None:
            spared.discard(connection)
            if not spared:
                del self._quiet[channel]

    # -- saying

    def say(self, channel: str, delivery: Delivery) -> None:
        """Write a delivery's packet to the listeners of `channel` at the end of this tick."""
        waiting = self._waiting.get(channel)
        if waiting is not None:
            waiting.append(delivery)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting[channel] = [delivery]

    def tell(self, connection: Connection, packet: Packet) -> None:
        """Write to one connection: behind whatever waits for its channels."""
        if self._waiting:
            self._direct.append((connection, packet))
        else:
            connection.socket.write(packet)

    def flush(self) -> None:
        """Write all that waits."""
        while self._waiting:
            self.flush_channel(next(iter(self._waiting)))
        direct, self._direct = self._direct, []
        for connection, packet in direct:
            connection.socket.write(packet)

    def flush_channel(self, channel: str) -> None:
        """Write what waits for one channel, before somebody joins or leaves it."""
        deliveries = self._waiting.pop(channel, None)
        listeners = self._listeners(channel) if deliveries else ()
        if not deliveries or not listeners:
            return
        readers = list(listeners)
        spared = self._spared(channel, deliveries)
        if spared:
            readers = [reader for reader in readers if reader not in spared]
            self._write_to_spared(channel, spared.intersection(listeners), deliveries)
        for part in _parts(deliveries):
            _write(readers, part)
        metrics.deliveries.inc(len(readers) * len(deliveries))

    def _spared(self, channel: str, deliveries: Sequence[Delivery]) -> set[Connection]:
        """Everyone who must not hear all of it."""
        spared: set[Connection] = set()
        for delivery in deliveries:
            if delivery.ephemeral:
                spared.update(self._quiet.get(channel, ()))
                if delivery.origin is not None:
                    spared.update(self._listeners(channels.user(delivery.origin)))
        return spared

    def _write_to_spared(
        self, channel: str, spared: Collection[Connection], deliveries: Sequence[Delivery]
    ) -> None:
        quiet = self._quiet.get(channel, ())
        for reader in spared:
            for delivery in deliveries:
                unwanted = delivery.ephemeral and (reader in quiet or reader.user_id == delivery.origin)
                if delivery.packet is not None and not unwanted:
                    reader.socket.write(delivery.packet, ephemeral=delivery.ephemeral)


def _parts(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """Cut into runs that are written as one."""
    start = size = 0
    for index, delivery in enumerate(deliveries):
        length = len(delivery.packet.frame) if delivery.packet is not None else 0
        if size and size + length > JOINED_BYTES:
            yield deliveries[start:index]
            start, size = index, 0
        size += length
    yield deliveries[start:]


def _write(readers: Sequence[Connection], deliveries: Sequence[Delivery]) -> None:
    frames = [delivery.packet.frame for delivery in deliveries if delivery.packet is not None]
    frame = frames[0] if len(frames) == 1 else b"".join(frames)
    size = len(frame)
    taken = send_all([reader.socket.direct for reader in readers], frame)
    if taken.count(size) == len(readers):
        return
    for reader, written in zip(readers, taken, strict=True):
        if written == size:
            continue
        if reader.socket.direct is not NOWHERE:
            reader.socket.finish(frame, written)
        else:
            for delivery in deliveries:
                if delivery.packet is not None:
                    reader.socket.write(delivery.packet, ephemeral=delivery.ephemeral)


def send_all(targets: Sequence[sockets.socket], frame: bytes) -> list[int]:
    """Send `frame` to each socket: the bytes it took (0: it is full), or -1 if it is broken or `NOWHERE`."""
    taken: list[int] = []
    rest = iter(targets)
    while len(taken) < len(targets):
        try:
            taken.extend(map(sockets.socket.send, rest, repeat(frame)))
        except BlockingIOError:
            taken.append(0)
        except OSError:
            taken.append(-1)
    return taken
