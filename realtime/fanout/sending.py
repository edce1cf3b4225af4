"""Sending one frame to many sockets: by one system call where there is a ring, else by one for each."""

import socket as sockets
from collections.abc import Sequence
from itertools import repeat

import structlog

from realtime.fanout.ring import LONGEST, NoRing, Ring

log = structlog.get_logger(__name__)

MANY = 32
"""Sockets for which a ring is worth its own cost."""

NOWHERE = sockets.socket()
"""A closed socket: writing to it fails at once."""
NOWHERE.close()


class Sender:
    """The way to many sockets at once. A ring is opened when it is needed first."""

    def __init__(self) -> None:
        self._ring: Ring | None = None
        self._may_have_ring = True

    def send_all(self, targets: Sequence[sockets.socket], frame: bytes) -> list[int]:
        """Send `frame` to each: the bytes it took (0: it is full), or -1 if it is broken or `NOWHERE`."""
        if len(targets) < MANY or len(frame) > LONGEST or not self._may_have_ring:
            return send_each(targets, frame)
        if self._ring is None:
            self._open()
            return self.send_all(targets, frame)
        taken = self._ring.send_all(targets, frame)
        if self._ring.is_broken:
            log.error("ring_broken", taken=len(taken), of=len(targets))
            self._ring, self._may_have_ring = None, False
        return [*taken, *send_each(targets[len(taken) :], frame)] if len(taken) < len(targets) else taken

    def _open(self) -> None:
        try:
            self._ring = Ring()
        except (NoRing, OSError) as refusal:
            self._may_have_ring = False
            log.info("no_ring", why=str(refusal))


def send_each(targets: Sequence[sockets.socket], frame: bytes) -> list[int]:
    """The same by a loop that runs in C."""
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
