"""The shapes of presence, and what it needs of the other features."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.policy import Verb

Mode = Literal["visible", "invisible"]
MAX_ASKED = 200


class People(Protocol):
    """Where it is noted that people hide."""

    async def set_invisible(self, user_id: Id, invisible: bool) -> None: ...


class PresenceQueryIn(Wire):
    """Whose presence is asked for: at most 200 people."""

    user_ids: list[Id] = Field(max_length=MAX_ASKED)


class PresenceStateOut(Wire):
    """A person is online, or was last seen at some time.

    `lastSeen` is null while they are online, and when they do not show it to the caller.
    """

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


class UserOnline(Publication, event="user_online", verb=Verb.SEE_PRESENCE, ephemeral=True):
    """A friend has come online."""

    user_id: Id


class UserOffline(Publication, event="user_offline", verb=Verb.SEE_PRESENCE, ephemeral=True):
    """A friend has gone offline, on all devices, and has not come back for some seconds.

    `lastSeen` is null when they do not show it.
    """

    user_id: Id
    last_seen: datetime | None
