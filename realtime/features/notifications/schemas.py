"""The shapes of notifications, what other features say through them, and what they need of the others."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.features.accounts.schemas.users import UserCard
from realtime.features.push.schemas import PushNote
from realtime.policy import Verb

NotificationType = Literal[
    "friend_request",
    "friend_accepted",
    "post_like",
    "post_comment",
    "new_message",
    "missed_call",
    "event_invite",
    "event_update",
    "rating",
    "trust_level",
    "ticket",
    "payment",
    "system",
]
TYPES: tuple[NotificationType, ...] = get_args(NotificationType)


# -- what other features say


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person is to be told: `text` is one sentence for people, `data` holds ids for the client.

    What happens again under the same `key` is one notification that counts. The same actor with the same
    `data` is the same occurrence, however often it is said: put into `data` what makes a new one new.
    """

    type: NotificationType
    key: str
    text: str
    actor_id: Id | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Notifier(Protocol):
    """What other features ask of notifications; `NotificationService` does it."""

    async def notify(self, user_id: Id, note: Note) -> None: ...

    async def withdraw(self, user_id: Id, type_: NotificationType, key: str) -> None: ...

    async def withdraw_many(self, type_: NotificationType, pairs: Collection[tuple[Id, str]]) -> None: ...

    async def reconsider(self, user_id: Id, actor_id: Id) -> None: ...


# -- what notifications need


class PersonSettings(Protocol):
    @property
    def notifications(self) -> bool: ...


class Person(Protocol):
    """A person as notifications show them, and whether they want to be pushed at all."""

    @property
    def id(self) -> Id: ...
    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> str: ...
    @property
    def avatar(self) -> str | None: ...
    @property
    def settings(self) -> PersonSettings: ...


class People(Protocol):
    async def many(self, user_ids: Iterable[Id]) -> Mapping[Id, Person]: ...


class Updates(Protocol):
    """The durable log of each person."""

    async def append(
        self, user_ids: Iterable[Id], publication: Publication, *, key: str | None = None
    ) -> None: ...


class Pushes(Protocol):
    """The phones and browsers of people."""

    async def put(self, note: PushNote) -> None: ...

    async def dismiss(self, user_id: Id, keys: Sequence[str]) -> None: ...


class Policy(Protocol):
    """Who may tell whom, and whom somebody may see."""

    async def among(self, viewer: Id, verb: Verb, user_ids: Collection[Id]) -> set[Id]: ...


class Online(Protocol):
    """Who is connected, to whichever node."""

    async def online(self, user_ids: Collection[Id]) -> set[Id]: ...


class Reader(Protocol):
    """A member of a conversation who has not read its last message; `unread` are behind what they have."""

    @property
    def user_id(self) -> Id: ...
    @property
    def conversation_id(self) -> Id: ...
    @property
    def group_name(self) -> str | None: ...
    @property
    def sender_id(self) -> Id: ...
    @property
    def seq(self) -> int: ...
    @property
    def unread(self) -> int: ...


class Readers(Protocol):
    """How far people have read."""

    async def behind(self, conversation_ids: Collection[Id], most: int) -> Sequence[Reader]:
        """Who is behind, and has not muted it, in those conversations that have at most `most` members."""
        ...

    async def active_since(self, moment: datetime, limit: int) -> Sequence[Id]:
        """The conversations with a message since then, the newest first."""
        ...


# -- on the wire


class NotificationOut(Wire):
    """A notification. `actor` did it last, and `count` times it has happened since it was read before.

    Lists are in the order of `updatedAt`, newest first.
    """

    id: Id
    type: NotificationType
    text: str
    actor: UserCard | None
    data: dict[str, Any]
    count: int
    read: bool
    created_at: datetime
    updated_at: datetime


class UnreadOut(Wire):
    """How many notifications are unread, after change number `version`.

    A logged change with a `version` that is not higher is in what you have: ignore it.
    """

    unread_count: int
    version: int


class Notified(Publication, NotificationOut, event="notification", verb=Verb.NOTIFY, logged=True):
    """A notification is new, or it happened again: put it in the place of the one with its id.

    `unreadCount` is exact after this change, the one number `version`.
    """

    unread_count: int
    version: int


class NotificationRead(Publication, event="notification_read", verb=Verb.OWN, logged=True):
    """These notifications are read now; without `ids` all that there were."""

    ids: list[Id] | None
    unread_count: int
    version: int


class NotificationRemoved(Publication, event="notification_removed", verb=Verb.OWN, logged=True):
    """These notifications are no more."""

    ids: list[Id]
    unread_count: int
    version: int


class ReadNotificationIn(Wire):
    """Which notification has been read."""

    id: Id


class ReadAllIn(Wire):
    """Nothing to say."""


# -- preferences


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be the name of a time zone, such as Europe/Paris") from None
    return name


TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
TimeZone = Annotated[
    str,
    StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"),
    AfterValidator(_zone),
]


class TypeChoice(Wire):
    """Whether a type of notification stands in the list, and whether it is pushed, too."""

    in_list: Annotated[bool, Field(strict=True, alias="list")] = True
    push: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _pushed_is_listed(self) -> "TypeChoice":
        if self.push and not self.in_list:
            raise ValueError("what is pushed stands in the list")
        return self


class QuietHours(Wire):
    """From when to when, on the person's own clock, nothing is pushed. They may go past midnight."""

    enabled: Annotated[bool, Field(strict=True)] = False
    from_: TimeOfDay = Field(default="22:00", alias="from")
    to: TimeOfDay = "07:00"
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _has_an_end(self) -> "QuietHours":
        if self.enabled and self.from_ == self.to:
            raise ValueError("from and to must differ")
        return self


class PreferencesOut(Wire):
    """What a person wants to be told, for every type."""

    types: dict[NotificationType, TypeChoice]
    quiet_hours: QuietHours


class PreferencesIn(Wire):
    """What to change. A type that is named is set as a whole; what is not named stays."""

    types: dict[NotificationType, TypeChoice] = Field(default_factory=dict[NotificationType, TypeChoice])
    quiet_hours: QuietHours | None = None

    @model_validator(mode="after")
    def _system_is_told(self) -> "PreferencesIn":
        system = self.types.get("system")
        if system is not None and not system.in_list:
            raise ValueError("system notifications always stand in the list")
        return self
