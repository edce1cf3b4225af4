"""The user actor: all connections of one person on this node, and the moment after the last one."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from common.ids import Id
from realtime.actors import Actor, Ask, Tell
from realtime.features.presence.service import PresenceService

RETRY = 1.0
"""Seconds after which a departure that could not be decided is tried again, and a little more."""


@dataclass(frozen=True, slots=True)
class Opened(Tell):
    """A connection is open."""


@dataclass(frozen=True, slots=True)
class Closed(Tell):
    """A connection is gone."""


@dataclass(frozen=True, slots=True)
class GraceOver(Tell):
    """The person has had time to come back."""


class UserActor(Actor):
    """Owns the grace timer. `PresenceService` counts the connections."""

    def __init__(self, user_id: Id, presence: PresenceService) -> None:
        self._user_id, self._presence = user_id, presence
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, message: Ask[Any] | Tell) -> Coroutine[Any, Any, None] | None:
        match message:
            case Opened():
                self._stop_timer()
                return self._presence.arrive(self._user_id)
            case Closed():
                if self._timer is None and not self._presence.is_connected(self._user_id):
                    self._timer = self.later(self._presence.grace, GraceOver())
                return None
            case GraceOver():
                self._timer = None
                return self._depart()
            case _:
                raise TypeError(message)

    async def _depart(self) -> None:
        if not await self._presence.depart(self._user_id):
            self._timer = self.later(RETRY + random.uniform(0, RETRY), GraceOver())  # noqa: S311  (jitter)

    @property
    def is_idle(self) -> bool:
        return self._timer is None

    async def stopped(self) -> None:
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
