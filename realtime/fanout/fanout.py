"""The port features publish through. Publishing never waits and never fails the caller."""

from collections.abc import Iterable
from typing import Protocol

from realtime.channels import Publication
from realtime.fanout.local import LocalFanout
from realtime.fanout.packets import Delivery, packet_of


class Bus(Protocol):
    """Carries deliveries to the other nodes; it may lose them, streams heal that."""

    def send(self, delivery: Delivery) -> None: ...


class Fanout:
    """Says publications on channels: here at once, on the other nodes by the bus."""

    def __init__(self, local: LocalFanout, bus: Bus | None = None) -> None:
        self._local, self._bus = local, bus

    def publish(
        self,
        channel: str,
        publication: Publication,
        *,
        position: int | None = None,
        origin: str | None = None,
    ) -> None:
        """Say it to a channel. `position` is its place in the channel's stream, when it is stored there.

        `origin` is whose doing it is; they need not hear of it when it is ephemeral.
        """
        pos = position if publication.logged else None
        packet = packet_of(publication, pos)
        self.deliver(Delivery((channel,), packet, position, publication.ephemeral, origin=origin))

    def publish_many(self, channels: Iterable[str], publication: Publication) -> None:
        """Say the same ephemeral thing to several channels, encoded once."""
        names = tuple(channels)
        if names:
            self.deliver(Delivery(names, packet_of(publication), ephemeral=publication.ephemeral))

    def deliver(self, delivery: Delivery) -> None:
        """Hand a ready delivery to this node's sockets and to the bus."""
        self._local.deliver(delivery)
        if self._bus is not None:
            self._bus.send(delivery)

    def hint(self, channel: str, position: int) -> None:
        """Entries of the channel's stream up to `position` are stored; who lacks some reads them."""
        if position > 0:
            self.deliver(Delivery((channel,), position=position))

    def close(self, channel: str, reason: str, *, but_for: str | None = None) -> None:
        """End every socket that listens to `channel`, on every node."""
        self.deliver(Delivery((channel,), close=reason, but_for=but_for))
