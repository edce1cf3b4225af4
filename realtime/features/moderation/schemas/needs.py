"""What moderation needs of the other features, and parts of lists."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from common.ids import Id
from realtime.fanout import Fanout
from realtime.features.notifications.schemas import Note
from realtime.policy import Policy

Mark = tuple[str, ...]
"""Where a list goes on: sort values of the last row shown."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for: behind a mark, or after skipping some."""

    limit: int = 20
    skip: int = 0
    after: Mark | None = None


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A part of a list, how long the whole is, and where it goes on."""

    items: Sequence[T]
    total: int
    behind: Mark | None


class TargetKind(Protocol):
    """A kind of thing that can be reported. The feature it belongs to says how it looks."""

    async def evidence(self, reporter: Id, target_id: Id, /) -> tuple[Id, Mapping[str, Any]] | None:
        """Whose doing it is and how it is at this moment; None when the reporter cannot see it."""
        ...


class Person(Protocol):
    """A person as reports show them."""

    @property
    def id(self) -> Id: ...
    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> str: ...
    @property
    def avatar(self) -> str | None: ...
    @property
    def cover_photo(self) -> str | None: ...
    @property
    def bio(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def website(self) -> str: ...
    @property
    def interests(self) -> list[str]: ...


class People(Protocol):
    async def get(self, user_id: Id) -> Person | None: ...

    async def many(self, user_ids: Collection[Id]) -> Mapping[Id, Person]: ...


class Staff(Protocol):
    """Who looks after reports, and whose sessions are whose."""

    async def is_staff(self, user_id: Id) -> bool: ...

    async def staff_among(self, user_ids: Collection[Id]) -> set[Id]: ...

    async def require_moderator(self, user_id: Id) -> None: ...

    async def require_admin(self, user_id: Id) -> None: ...

    def forget_person(self, user_id: Id) -> None: ...

    async def end_all(self, user_id: Id, why: Literal["banned"]) -> None: ...


class Turn(Protocol):
    """A transaction in which audit rows are written."""

    @property
    def session(self) -> Any: ...

    async def note(self, actor: str, action: str, target: Id, /, **detail: Any) -> None: ...


class Audit(Protocol):
    async def turn(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` in a transaction that may write audit rows."""
        ...


class Transactions(Protocol):
    async def transaction(self, work: Callable[[Any], Awaitable[T]]) -> T: ...


class Notifier(Protocol):
    """Tells people."""

    async def notify(self, user_id: Id, note: Note) -> None: ...


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other features, as far as moderation needs them."""

    database: Transactions
    audit: Audit
    staff: Staff
    people: People
    policy: Policy
    fanout: Fanout
    notifier: Notifier
