"""Writing to sockets: what one tick of the event loop has to say is joined and written once per channel.

A packet's frame is the same for every reader. Most readers take it at once, so it goes to their sockets in
one loop that runs in C; only those who are behind, or who poll, are asked one by one.
"""

import asyncio
import socket as sockets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from common import metrics
from realtime import channels
from realtime.fanout.packets import Delivery, Packet
from realtime.fanout.sending import NOWHERE, Sender

T = TypeVar("T")

JOINED_BYTES = 65_536
"""Frames are joined up to about this size; one write takes no more from a quiet reader's kernel anyway."""
LONG = 0.003
"""Seconds of writing after which what comes next gathers for a moment: joined, it costs half."""
GATHER = 0.001
TRY_EVERY = 64
WORTH_KEEPING = 16
"""Listeners of a channel for whom a `_Layout` is kept."""


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


class _Layout:
    """The listeners of a channel side by side with their sockets: a broadcast touches nothing else of them.

    A socket that was withdrawn is closed, so an old layout is noticed when it is written to.
    """

    __slots__ = ("_places", "readers", "targets")

    def __init__(self, listeners: Iterable[Connection]) -> None:
        self.readers = list(listeners)
        self.targets = [reader.socket.direct for reader in self.readers]
        self._places: dict[Connection, int] | None = None

    def places(self, spared: Iterable[Connection]) -> list[int]:
        """Where those of `spared` stand who are among the readers, last first."""
        if self._places is None:
            self._places = {reader: place for place, reader in enumerate(self.readers)}
        known = self._places
        return sorted((known[one] for one in spared if one in known), reverse=True)


class Outgoing:
    """What waits for the end of this tick. Within a channel, and for one connection, order is kept."""

    def __init__(self, listeners: Callable[[str], Collection[Connection]]) -> None:
        self._listeners = listeners
        self._waiting: dict[str, list[Delivery]] = {}
        self._direct: list[tuple[Connection, Packet]] = []
        self._quiet: dict[str, set[Connection]] = {}
        self._layouts: dict[str, _Layout] = {}
        self._sender = Sender()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._written_at = self._took = 0.0
        self._meets = self._met = False
        self._tries = 0

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
            self._meets = True
            waiting.append(delivery)
            return
        if not self._waiting:
            self._schedule()
        self._waiting[channel] = [delivery]

    def tell(self, connection: Connection, packet: Packet) -> None:
        """Write to one connection: behind whatever waits for its channels."""
        if self._waiting or self._direct:
            self._direct.append((connection, packet))
        else:
            connection.socket.write(packet)

    def _schedule(self) -> None:
        """Write at the end of this tick; right after a long write a moment later, if that is worth it.

        It is when packets met the last time; when they did not, it is tried now and then.
        """
        loop = self._loop
        if loop is None:  # asking for it each time costs as much as a small write
            loop = self._loop = asyncio.get_running_loop()
        if self._took <= LONG or time.monotonic() - self._written_at >= self._took:
            loop.call_soon(self.flush)
            return
        self._tries = (self._tries + 1) % TRY_EVERY
        if self._met or not self._tries:
            loop.call_later(GATHER, self.flush)
        else:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write all that waits."""
        began = time.monotonic()
        self._met, self._meets = self._meets, False
        while self._waiting:
            self.flush_channel(next(iter(self._waiting)))
        self._written_at = time.monotonic()
        self._took = self._written_at - began
        direct, self._direct = self._direct, []
        for connection, packet in direct:
            connection.socket.write(packet)

    def settle(self, channel: str) -> None:
        """Write what waits for one channel, before somebody joins or leaves it."""
        self.flush_channel(channel)
        self._layouts.pop(channel, None)

    def flush_channel(self, channel: str) -> None:
        """Write what waits for one channel."""
        deliveries = self._waiting.pop(channel, None)
        listeners = self._listeners(channel) if deliveries else ()
        if not deliveries or not listeners:
            return
        layout = self._layouts.get(channel)
        if layout is None:
            layout = _Layout(listeners)
            if len(layout.readers) >= WORTH_KEEPING:
                self._layouts[channel] = layout
        spared = self._spared(channel, deliveries)
        places = layout.places(spared) if spared else ()
        for part in _parts(deliveries):
            if not _write(self._sender, layout, places, part):
                self._layouts.pop(channel, None)
        if places:
            self._write_to_spared(channel, [layout.readers[place] for place in places], deliveries)
        metrics.deliveries.inc((len(layout.readers) - len(places)) * len(deliveries))

    def _spared(self, channel: str, deliveries: Sequence[Delivery]) -> set[Connection]:
        """Everyone who must not hear all of it."""
        origins = {delivery.origin for delivery in deliveries if delivery.ephemeral}
        if not origins:
            return set()
        spared = set(self._quiet.get(channel, ()))
        for origin in origins:
            if origin is not None:
                spared.update(self._listeners(channels.user(origin)))
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


def _parts(deliveries: Sequence[Delivery]) -> Iterable[Sequence[Delivery]]:
    """Cut into runs that are written as one."""
    sizes = [len(delivery.packet.frame) if delivery.packet is not None else 0 for delivery in deliveries]
    return (deliveries,) if sum(sizes) <= JOINED_BYTES else _cut(deliveries, sizes)


def _cut(deliveries: Sequence[Delivery], sizes: Sequence[int]) -> Iterator[Sequence[Delivery]]:
    start = size = 0
    for index, length in enumerate(sizes):
        if size and size + length > JOINED_BYTES:
            yield deliveries[start:index]
            start, size = index, 0
        size += length
    yield deliveries[start:]


def _write(sender: Sender, layout: _Layout, spared: Sequence[int], deliveries: Sequence[Delivery]) -> bool:
    """Write to everybody but those at the `spared` places; whether the layout was up to date."""
    frames = [delivery.packet.frame for delivery in deliveries if delivery.packet is not None]
    frame = frames[0] if len(frames) == 1 else b"".join(frames)
    targets = _without(layout.targets, spared)
    taken = sender.send_all(targets, frame)
    if taken.count(len(frame)) == len(targets):
        return True
    is_true = True
    for reader, target, written in zip(_without(layout.readers, spared), targets, taken, strict=True):
        if written == len(frame):
            continue
        if reader.socket.direct is target and target is not NOWHERE:
            reader.socket.finish(frame, written)
            continue
        is_true = is_true and reader.socket.direct is target
        for delivery in deliveries:
            if delivery.packet is not None:
                reader.socket.write(delivery.packet, ephemeral=delivery.ephemeral)
    return is_true


def _without(items: list[T], places: Sequence[int]) -> list[T]:
    """`items` but for those at `places`, which come last first."""
    if not places:
        return items
    rest = items.copy()
    for place in places:
        del rest[place]
    return rest
