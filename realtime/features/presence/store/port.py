"""Who is connected anywhere, as presence needs to know it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Protocol

from common.ids import Id


class Left(Enum):
    """What leaving meant: the person is nowhere now, is elsewhere, or it cannot be said yet."""

    LAST = "last"
    NOT_LAST = "not_last"
    LATER = "later"


class Listener(Protocol):
    """Whoever tells people what a store finds out by itself."""

    async def gone(self, users: Mapping[Id, datetime]) -> None:
        """These were on a node that died; returns when everyone has been told."""
        ...

    def back(self, users: Iterable[Id]) -> None:
        """These are connected here, though it was thought they were nowhere."""
        ...


class PresenceStore(Protocol):
    """People with connections. A person is here from `join` to `leave`, which includes the grace period."""

    async def start(self, listener: Listener) -> None: ...

    async def stop(self) -> None:
        """Let others take over; the people here get the grace period to come back elsewhere."""
        ...

    async def join(self, user_id: Id) -> bool:
        """The person is here; True when they were nowhere before, to exactly one caller."""
        ...

    async def leave(self, user_id: Id) -> Left:
        """The person is not here any more; `LAST` is said to exactly one caller."""
        ...

    async def online(self, user_ids: Collection[Id]) -> set[Id]:
        """Those who are connected anywhere."""
        ...

    def here(self) -> Collection[Id]:
        """Everyone who has joined here."""
        ...

    def set_focused(self, user_id: Id, focused: bool) -> None:
        """Whether this person, when here, looks at one of their connections; they do until this says no."""
        ...

    async def focused(self, user_ids: Collection[Id]) -> set[Id]:
        """Those who look at a connection to any node whose lease has not ended."""
        ...
