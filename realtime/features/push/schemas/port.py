"""The port behind which providers are, and what push asks of the other features."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from common.ids import Id
from realtime.features.push.schemas.devices import Platform

MAX_PAYLOAD = 3000
"""Bytes of a note as JSON. Every provider takes 4,096 of what is made of it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A device as its provider knows it; `p256dh` and `auth` are a browser's keys."""

    token: str = field(repr=False)
    p256dh: str = field(default="", repr=False)
    auth: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Alert:
    """To be shown. A newer alert with the same `tag` takes its place on the device."""

    notification_id: Id
    type: str
    key: str
    tag: str
    title: str
    body: str
    data: Mapping[str, str]
    badge: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Removal:
    """Shown no longer, without a sound."""

    keys: Sequence[str]
    tags: Sequence[str]
    expires_at: datetime


Parcel = Alert | Removal


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The device is no more; since when, if the provider says so."""

    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never take this."""

    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `reached`: it may have arrived all the same; `wide`: others are likely to fare no better."""

    why: str
    retry_after: float | None = None
    reached: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Down:
    """Nothing gets through at all: nobody there, or we are not let in. It is not the note's fault."""

    why: str
    retry_after: float | None = None


Outcome = Sent | Gone | Refused | Later | Down


class Push(Protocol):
    """One provider. `send` has a deadline from outside and may be cancelled at any time."""

    sole_origin: str | None
    """The one server there is; None when each device names its own, of which one may fail alone."""

    def origin(self, target: Target) -> str:
        """The server that would be asked."""
        ...

    async def send(self, target: Target, parcel: Parcel) -> Outcome: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Providers:
    """Who brings pushes to which platform, and the public key that browsers subscribe with."""

    pushes: Mapping[Platform, Push]
    web_key: str | None = None


class Logins(Protocol):
    """Whether log-ins go on."""

    async def living(self, login_ids: Collection[Id]) -> Mapping[Id, datetime]:
        """Those of these log-ins that have not ended, and when they will."""
        ...

    async def recently_revoked(self, since: datetime) -> Sequence[Id]:
        """The log-ins that were ended since then, by any node."""
        ...


class Focus(Protocol):
    """Who is looking at the app, on any node."""

    def set_focused(self, user_id: Id, focused: bool) -> None:
        """Whether one of this person's connections to this node is in the foreground."""
        ...

    async def focused(self, user_ids: Collection[Id]) -> set[Id]:
        """Those of these people who have a connection in the foreground, on a node that lives."""
        ...
