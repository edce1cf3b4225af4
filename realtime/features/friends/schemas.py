"""The shapes of friendships, requests and blocks, and what friends need of the other features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from pydantic import ConfigDict, Field, model_validator

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.policy import Verb

RelationState = Literal["self", "none", "friends", "request_sent", "request_received"]
Privacy = Literal["public", "friends", "private"]
Direction = Literal["incoming", "outgoing"]
Mark = tuple[datetime, Id]
"""Where a list goes on: the time and the id of the last row shown."""
Username = Annotated[str, Field(min_length=1, max_length=254)]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for: behind a mark, or after skipping some."""

    limit: int = 20
    before: Mark | None = None
    skip: int = 0

    def cut(self, marks: Sequence[Mark]) -> Mark | None:
        """Where the list goes on, when one row more than the limit was found."""
        return marks[self.limit - 1] if len(marks) > self.limit else None


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A part of a list, how long the whole is, and where it goes on."""

    items: list[T]
    total: int
    next: Mark | None


class Person(Protocol):
    """A person as friends need to know them."""

    @property
    def id(self) -> Id: ...
    @property
    def username(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> str: ...
    @property
    def avatar(self) -> str | None: ...
    @property
    def privacy(self) -> Privacy: ...


class People(Protocol):
    """Where people are looked up."""

    async def get(self, user_id: Id) -> Person | None: ...

    async def by_username(self, username: str) -> Person | None: ...

    async def many(self, user_ids: Iterable[Id]) -> Mapping[Id, Person]: ...


class Updates(Protocol):
    """The durable log of each person."""

    async def append(
        self,
        user_ids: Iterable[Id],
        publication: Publication,
        *,
        key: str | None = None,
        join: tuple[str, int] | None = None,
        leave: str | None = None,
    ) -> None: ...


class Earnings(Protocol):
    """Where it is noted what earns points."""

    def note(self, user_id: Id, kind: Literal["friend"], cause: str) -> None: ...


class FriendIn(Wire):
    """The other person, as `friendId` or as `userId`."""

    friend_id: Id | None = None
    user_id: Id | None = None

    @model_validator(mode="after")
    def _names_one_person(self) -> "FriendIn":
        named = {self.friend_id, self.user_id} - {None}
        if len(named) != 1:
            raise ValueError("name one person, as friendId or as userId")
        return self

    @property
    def other(self) -> Id:
        return self.friend_id or self.user_id or ""


class NamesIn(Wire):
    """`from` asks, or has asked, `to`: usernames, as the meetup app sends them."""

    model_config = ConfigDict(alias_generator=None, extra="ignore")

    asker: Username = Field(alias="from")
    asked: Username = Field(alias="to")


class FriendNamesOut(Wire):
    """The usernames of somebody's friends."""

    friends: list[str]


class RequestsQuery(Wire):
    """Requests that wait for the caller, or for others."""

    direction: Direction = "incoming"


class RelationOut(Wire):
    """What the caller and this person are to each other now."""

    user_id: Id
    state: RelationState


class PersonCard(Wire):
    """A person in a list."""

    id: Id
    name: str
    handle: str
    avatar: str | None = None

    @classmethod
    def of(cls, person: Person) -> "PersonCard":
        return cls(id=person.id, name=person.name, handle=person.handle, avatar=person.avatar)


class FriendOut(Wire):
    """A friend, and since when."""

    user: PersonCard
    since: datetime


class RequestOut(Wire):
    """A request that waits for an answer. `incoming` ones wait for the caller's."""

    user: PersonCard
    direction: Direction
    created_at: datetime


class BlockedOut(Wire):
    """Someone the caller has blocked, and since when."""

    user: PersonCard
    since: datetime


class MutualOut(Wire):
    """Friends that the caller and another person share; at most 100 are listed."""

    count: int
    users: list[PersonCard]


class FriendRequest(Publication, event="friend_request", verb=Verb.BEFRIEND, logged=True):
    """`fromId` asks `toId` to be friends; said to both, so that all their devices know."""

    from_id: Id
    to_id: Id
    created_at: datetime


class FriendAccepted(Publication, event="friend_accepted", verb=Verb.BEFRIEND, logged=True):
    """`userId` is a friend now. Ask `presence_query` whether they are online."""

    user_id: Id
    since: datetime


class FriendRemoved(Publication, event="friend_removed", verb=Verb.OWN, logged=True):
    """The friendship with `userId`, or the request between the two, is no more."""

    user_id: Id


class BlockChanged(Publication, event="block_changed", verb=Verb.OWN, logged=True):
    """This person has blocked `userId`, or taken it back; said to their own devices only."""

    user_id: Id
    blocked: bool
