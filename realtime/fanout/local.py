"""Fan-out on this node: who listens to what, and the order in which they hear it.

A stream (a conversation's messages, a person's update log) is delivered in order and without gaps: an entry
that comes early waits while the missing ones are read from the database; one that comes twice is dropped.
"""

import asyncio
from collections.abc import Callable, Collection, Generator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from common import metrics
from realtime import channels
from realtime.fanout.outgoing import Connection, Outgoing
from realtime.fanout.packets import Delivery, Packet

log = structlog.get_logger(__name__)

MAX_EARLY = 200
"""Early entries kept per stream while a gap is filled; more are read from the database anyway."""
PAGE = 100
FILL_BYTES = 65_536
BREATH = 0.01
"""A gap is filled in small helpings with a breath between them: its readers also have to read."""
HEADS = 1000
"""Streams compared with the database by one question."""


class StreamSource(Protocol):
    """Where the entries of one kind of stream can be read again."""

    async def entries_after(self, key: str, position: int, limit: int) -> Sequence[Delivery]:
        """The next entries behind `position`, in order."""
        ...

    async def heads(self, keys: Sequence[str]) -> Mapping[str, int]:
        """The last position of each stream that has entries."""
        ...

    def observe(self, key: str, position: int) -> None:
        """An entry at `position` is stored, by whichever node."""
        ...


class Interest(Protocol):
    """Who brings this node what the others say."""

    def wanted(self, channel: str) -> None:
        """The channel has its first listener."""
        ...

    def unwanted(self, channel: str) -> None:
        """The channel has lost its last listener."""
        ...

    async def settle(self) -> None:
        """Wait until everything wanted is heard, or cannot be heard soon."""
        ...


@dataclass(slots=True)
class _Stream:
    """How far the listeners of a stream have heard it. `heard` is None until it is known."""

    heard: int | None
    early: dict[int, Delivery] = field(default_factory=dict[int, Delivery])
    filling: asyncio.Task[None] | None = None
    wanted: int = 0


class LocalFanout:
    """The channels of this node's sockets."""

    def __init__(self) -> None:
        # In the order in which they came, which is that of the kernel's memory: a broadcast walks through it.
        self._listeners: dict[str, dict[Connection, None]] = {}
        self._streams: dict[str, _Stream] = {}
        self._sources: dict[str, StreamSource] = {}
        self._parting: dict[Connection, set[str]] = {}
        self._outgoing = Outgoing(lambda channel: self._listeners.get(channel, ()))
        self.tell: Callable[[Connection, Packet], None] = self._outgoing.tell
        """Write to one socket; what was said on its channels before goes first."""
        self.flush = self._outgoing.flush
        """Write now what would be written at the end of this tick."""
        self.on_heard: Callable[[str, int, str | None, Collection[Connection]], None] | None = None
        """Told of each stream entry that was written: channel, position, origin, listeners."""
        self.interest: Interest | None = None

    def read_from(self, kind: str, source: StreamSource) -> None:
        """Say where streams on channels of `kind` are stored."""
        self._sources[kind] = source

    # -- listening

    def join(self, connection: Connection, channel: str, head: int | None = None) -> None:
        """Let a socket hear `channel`; `head` is the last position it need not hear."""
        if connection not in self._listeners.get(channel, ()):
            self._outgoing.settle(channel)  # which may be the end of others
        listeners = self._listeners.get(channel)
        if listeners is None:
            listeners = self._listeners[channel] = {}
            if self.interest is not None:
                self.interest.wanted(channel)
        listeners[connection] = None
        connection.channels.add(channel)
        if connection in self._parting:
            self._parting[connection].discard(channel)
        if channels.kind(channel) in self._sources:
            stream = self._streams.setdefault(channel, _Stream(head))
            if stream.heard is None and head is not None:
                stream.heard = head
                self._want(channel, stream.wanted)

    def leave(self, connection: Connection, channel: str) -> None:
        """Stop hearing `channel`."""
        connection.channels.discard(channel)
        if connection in self._parting:
            self._parting[connection].add(channel)
        self._outgoing.settle(channel)
        self._outgoing.unhush(connection, channel)
        listeners = self._listeners.get(channel)
        if listeners is None:
            return
        listeners.pop(connection, None)
        if not listeners:
            del self._listeners[channel]
            if self.interest is not None:
                self.interest.unwanted(channel)
            stream = self._streams.pop(channel, None)
            if stream is not None and stream.filling is not None:
                stream.filling.cancel()

    def leave_all(self, connection: Connection) -> None:
        """Forget a socket; costs as much as it had channels."""
        for channel in tuple(connection.channels):
            self.leave(connection, channel)

    @contextmanager
    def watching(self, connection: Connection) -> Generator[Set[str]]:
        """Note what a socket is told to leave meanwhile, also if it has not come there yet."""
        parted = self._parting[connection] = set[str]()
        try:
            yield parted
        finally:
            del self._parting[connection]

    def hush(self, connection: Connection, channel: str) -> None:
        """Spare a socket what is ephemeral on `channel`."""
        if channel in connection.channels:  # it may have left while somebody looked whether it may
            self._outgoing.hush(connection, channel)

    def unhush(self, connection: Connection, channel: str) -> None:
        """Let it hear everything on `channel` again."""
        self._outgoing.unhush(connection, channel)

    def listeners(self, channel: str) -> frozenset[Connection]:
        return frozenset(self._listeners.get(channel, ()))

    def heard(self, channel: str) -> int | None:
        """How far a stream has been heard by those who listen to it here, if anybody does."""
        stream = self._streams.get(channel)
        return None if stream is None else stream.heard

    @property
    def streams(self) -> Collection[str]:
        """The channels that are streams and have listeners."""
        return self._streams.keys()

    async def settle(self) -> None:
        """Wait a moment until what was joined is heard from the other nodes, too."""
        if self.interest is not None:
            await self.interest.settle()

    # -- delivering

    def deliver(self, delivery: Delivery) -> None:
        """Write to everyone who listens, in stream order where there is one."""
        if delivery.position is None:
            for channel in delivery.channels:
                self._write(channel, delivery)
            return
        channel, position = delivery.channels[0], delivery.position
        if source := self._sources.get(channels.kind(channel)):
            source.observe(channels.key(channel), position)
        stream = self._streams.get(channel)
        if stream is None:
            self._write(channel, delivery)
        elif stream.heard is None or (
            position == stream.heard + 1 and delivery.packet and not stream.filling
        ):
            self._advance(channel, stream, delivery, position)
        elif position > stream.heard:
            self._keep_early(channel, stream, delivery, position)

    def _advance(self, channel: str, stream: _Stream, delivery: Delivery, position: int) -> None:
        stream.heard = position
        self._write(channel, delivery)
        if self.on_heard is not None and (listeners := self._listeners.get(channel)):
            self.on_heard(channel, position, delivery.origin, listeners)

    def _keep_early(self, channel: str, stream: _Stream, delivery: Delivery, position: int) -> None:
        stream.wanted = max(stream.wanted, position)
        if delivery.packet is not None and len(stream.early) < MAX_EARLY:
            stream.early[position] = delivery
        if stream.filling is None:
            metrics.stream_gaps.inc()
            stream.filling = asyncio.get_running_loop().create_task(self._fill(channel, stream))

    async def _fill(self, channel: str, stream: _Stream) -> None:
        """Deliver what is missing up to `wanted`, from what came early and from the database."""
        source = self._sources[channels.kind(channel)]
        pause = 0.05
        try:
            while stream.heard is not None and stream.heard < stream.wanted:
                if not self._use_early(channel, stream):
                    heard = stream.heard
                    await self._read_more(source, channel, stream, heard)
                    if stream.heard == heard:
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, 2.0)
                    else:
                        await asyncio.sleep(BREATH)
        finally:
            stream.filling = None
            stream.early.clear()

    def _use_early(self, channel: str, stream: _Stream) -> bool:
        used = False
        while stream.heard is not None and (ready := stream.early.pop(stream.heard + 1, None)):
            self._advance(channel, stream, ready, stream.heard + 1)
            used = True
        return used

    async def _read_more(self, source: StreamSource, channel: str, stream: _Stream, heard: int) -> None:
        try:
            entries = await source.entries_after(channels.key(channel), heard, PAGE)
        except Exception:
            log.exception("stream_fill_failed", kind=channels.kind(channel))
            return
        written = 0
        for entry in entries:
            if entry.position is not None and entry.position > heard and written < FILL_BYTES:
                metrics.healed.inc()
                heard = entry.position
                written += len(entry.packet.frame) if entry.packet else 0
                self._advance(channel, stream, entry, heard)

    def _write(self, channel: str, delivery: Delivery) -> None:
        listeners = self._listeners.get(channel)
        if not listeners:
            return
        if delivery.packet is not None:
            self._outgoing.say(channel, delivery)
        if delivery.join or delivery.leave or delivery.close:
            for connection in tuple(listeners):
                if connection not in listeners:  # writing to it was the end of it
                    continue
                if delivery.join:
                    self.join(connection, *delivery.join)
                if delivery.leave:
                    self.leave(connection, delivery.leave)
                if delivery.close and connection.id != delivery.but_for:
                    connection.close(delivery.close)

    # -- healing

    async def catch_up(self, among: Collection[str] | None = None) -> None:
        """Compare streams that are listened to (`among` these) with the database; deliver what was lost."""
        for kind, source in self._sources.items():
            asked = self._streams if among is None else among
            names = [name for name in asked if name in self._streams and channels.kind(name) == kind]
            for start in range(0, len(names), HEADS):
                part = names[start : start + HEADS]
                heads = await source.heads([channels.key(name) for name in part])
                for name in part:
                    self._want(name, heads.get(channels.key(name), 0))

    def _want(self, channel: str, head: int) -> None:
        """The stream reaches to `head`; a listener whose place is not known yet remembers that."""
        stream = self._streams.get(channel)
        if stream is None:
            return
        if stream.heard is None:
            stream.wanted = max(stream.wanted, head)
        elif head > stream.heard:
            self._keep_early(channel, stream, Delivery((channel,), position=head), head)
