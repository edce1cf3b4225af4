"""The shapes of presence, and what it needs of the other features."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from common.ids import Id
from realtime.channels import Publication, Wire

Mode = Literal["visible", "invisible"]
Privacy = Literal["public", "friends", "private"]
MAX_ASKED = 200


class People(Protocol):
    """Where people are looked up, and where it is noted that they hide."""

    async def privacy_of(self, user_ids: Iterable[Id]) -> Mapping[Id, Privacy]: ...

    async def set_invisible(self, user_id: Id, invisible: bool) -> None: ...


class Friends(Protocol):
    """Who may know of whom."""

    async def audiences(self, user_ids: Collection[Id]) -> Mapping[Id, Collection[Id]]:
        """For each person their friends, without anyone a block stands between."""
        ...

    async def friends_among(self, viewer: Id, user_ids: Collection[Id]) -> Collection[Id]:
        """Those of `user_ids` who are friends of `viewer`, without anyone a block stands between."""
        ...


class PresenceQueryIn(Wire):
    """Whose presence is asked for: at most 200 people."""

    user_ids: list[Id] = Field(max_length=MAX_ASKED)


class PresenceStateOut(Wire):
    """A person is online, or was last seen at some time. `lastSeen` is null while they are online."""

    user_id: Id
    online: bool
    last_seen: datetime | None


class PresenceStatesOut(Wire):
    """The states that the caller may see; people who are not in the list are none of their business.

    `mode` is the caller's own.
    """

    states: list[PresenceStateOut]
    mode: Mode


class PresenceModeIn(Wire):
    """Whether friends may see that one is online. It is remembered until it is changed."""

    mode: Mode


class PresenceModeOut(Wire):
    """The caller's mode now."""

    mode: Mode


class UserOnline(Publication, event="user_online", ephemeral=True):
    """A friend has come online."""

    user_id: Id


class UserOffline(Publication, event="user_offline", ephemeral=True):
    """A friend has gone offline, on all devices, and has not come back for some seconds."""

    user_id: Id
    last_seen: datetime
