"""A worker's slot: what its parent gave it, and the line that ties them together."""

import asyncio
import contextlib
import os
import socket as sockets
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from realtime.gateway.handover import Handover

VARIABLE = "PLAZA_WORKER"
BEAT_SECONDS = 1.0
PARENT_GONE = "parent_gone"


class Slot(BaseModel):
    """Descriptors that a worker inherits, and the names of all workers; its own is `name`."""

    model_config = ConfigDict(frozen=True)

    name: str
    names: Sequence[str]
    lifeline: int
    inbox: int
    outboxes: Sequence[int]

    @classmethod
    def of_this_process(cls) -> Self | None:
        """The slot that our parent gave us, if we are a worker; our own children are not told."""
        given = os.environ.pop(VARIABLE, None)
        return cls.model_validate_json(given) if given is not None else None

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (self.lifeline, self.inbox, *self.outboxes)

    def handover(self) -> Handover:
        """The way to the other workers."""
        return Handover(self.names, _socket(self.inbox), [_socket(one) for one in self.outboxes])


class Lifeline:
    """Tells the parent once a second that we live, and us when the parent has died."""

    def __init__(self, slot: Slot) -> None:
        self._line = _socket(slot.lifeline)
        self._beating: asyncio.Task[None] | None = None

    def serving(self) -> None:
        """Begin to tell: the first beat says that we serve."""
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # a parent that is gone or far behind
                self._line.send(b".")
            await asyncio.sleep(BEAT_SECONDS)

    async def cut(self) -> str:
        """Wait until the parent is gone."""
        with contextlib.suppress(OSError):  # it died before it had heard our last beats
            await asyncio.get_running_loop().sock_recv(self._line, 1)
        return PARENT_GONE


def _socket(descriptor: int) -> sockets.socket:
    inherited = sockets.socket(fileno=descriptor)
    inherited.set_inheritable(False)
    inherited.setblocking(False)
    return inherited
