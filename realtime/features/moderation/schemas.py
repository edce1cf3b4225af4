"""The shapes of reports, decisions and appeals, and what moderation needs of the other features."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.fanout import Fanout
from realtime.features.accounts.schemas import words
from realtime.features.notifications.schemas import Note
from realtime.policy import Policy, Verb

Reason = Literal[
    "spam",
    "harassment",
    "hate",
    "violence",
    "sexual",
    "self_harm",
    "impersonation",
    "illegal",
    "other",
]
Action = Literal["warn", "mute", "limit", "ban"]
Decision = Literal["none", "warn", "mute", "limit", "ban", "accept", "reject"]
Status = Literal["open", "resolved", "dismissed"]
TargetType = Annotated[str, Field(min_length=1, max_length=20, pattern="^[a-z_]+$")]
Mark = tuple[str, ...]
"""Where a list goes on: sort values of the last row shown."""

MAX_SECONDS = 10 * 366 * 86_400
T = TypeVar("T")


def _text(longest: int) -> AfterValidator:
    return AfterValidator(lambda text: words.paragraph(text, longest))


Text = Annotated[str, _text(1000)]
Short = Annotated[str, _text(500)]


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


# -- what moderation needs


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


# -- reporting


class ReportIn(Wire):
    """What is reported, and why. `other` needs words."""

    target_type: TargetType
    target_id: Id
    reason: Reason
    text: Text = ""

    @model_validator(mode="after")
    def _says_what(self) -> "ReportIn":
        if self.reason == "other" and not self.text:
            raise ValueError("say in words what it is")
        return self


class ReportOut(Wire):
    """One's own report and what became of it."""

    id: Id
    target_type: str
    target_id: Id
    reason: str
    text: str
    status: Status
    created_at: datetime
    decided_at: datetime | None


# -- the queue


class QueueQuery(Wire):
    """Which cases: `sort` by which came first, or by how many people have reported it."""

    status: Status = "open"
    type: TargetType | None = None
    reason: Annotated[str, Field(min_length=1, max_length=20, pattern="^[a-z_]+$")] | None = None
    sort: Literal["oldest", "reporters"] = "oldest"


class CaseOut(Wire):
    """Everything reported about one target since the last decision on it.

    `reporters` people have; `claimedBy` has it for themselves until `claimedUntil`.
    """

    id: Id
    target_type: str
    target_id: Id
    subject_id: Id
    status: Status
    reporters: int
    reasons: dict[str, int]
    first_at: datetime
    last_at: datetime
    claimed_by: Id | None
    claimed_until: datetime | None
    decided_by: Id | None
    decided_at: datetime | None
    action: Decision | None
    sanction_id: Id | None
    note: str


class PersonCard(Wire):
    """A person in a list."""

    id: Id
    name: str
    handle: str
    avatar: str | None = None


class EvidenceOut(Wire):
    """One report of a case. `evidence` is how the target was at that moment."""

    id: Id
    reporter_id: Id
    reason: str
    text: str
    created_at: datetime
    evidence: dict[str, Any]


class SanctionOut(Wire):
    """One action against one person. `expired`: it has ended by itself."""

    id: Id
    user_id: Id
    action: Action
    reason: str
    note: str
    report_id: Id | None
    issued_by: str
    issued_at: datetime
    until: datetime | None
    status: Literal["active", "expired", "reversed"]
    reversed_by: str | None
    reversed_at: datetime | None
    reversed_why: str
    appeals: int


class CaseDetailOut(CaseOut):
    """A case with its reports, and what is known of whose doing it is. At most 20 of each are shown."""

    reports: list[EvidenceOut]
    subject: PersonCard | None
    sanctions: list[SanctionOut]
    earlier: list[CaseOut]


class Lasting(Wire):
    """How long something lasts: so many seconds, until a moment, or for ever."""

    duration_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ends_once(self) -> "Lasting":
        if self.duration_seconds is not None and self.until is not None:
            raise ValueError("give either durationSeconds or until")
        return self


class ActionIn(Lasting):
    """What is done about a person, and the reason they are told. A warning does not last."""

    action: Action
    reason: Annotated[Short, Field(min_length=1)]
    note: Short = ""


class ResolveIn(Lasting):
    """What is done. `accept` and `reject` decide on an appeal, the others on anything else.

    `reason` is told to the person, `note` to nobody but other moderators.
    """

    action: Decision
    reason: Short = ""
    note: Short = ""


class NoteIn(Wire):
    """For other moderators to read."""

    note: Short = ""


class ReverseIn(Wire):
    """Why something is taken back; the person is told."""

    reason: Short = ""


# -- the person concerned


class OwnSanctionOut(Wire):
    """What was done about the caller. `appeal`: whether one is possible, waits, or was the last."""

    id: Id
    action: Action
    reason: str
    issued_at: datetime
    until: datetime | None
    status: Literal["active", "expired", "reversed"]
    appeal: Literal["possible", "open", "used_up", "over"]


class AppealIn(Wire):
    """Why it was wrong. `token` is for who cannot log in: it comes with the refusal to log them in."""

    sanction_id: Id | None = None
    token: Annotated[str, Field(min_length=1, max_length=6144)] | None = None
    text: Annotated[Text, Field(min_length=1)]

    @model_validator(mode="after")
    def _is_about_one(self) -> "AppealIn":
        if (self.sanction_id is None) == (self.token is None):
            raise ValueError("give either sanctionId or token")
        return self


class AppealOut(Wire):
    """One's own appeal and what became of it."""

    id: Id
    sanction_id: Id
    text: str
    status: Literal["open", "accepted", "rejected"]
    created_at: datetime
    decided_at: datetime | None


# -- live


class ReportReceived(Publication, event="report_received", verb=Verb.MODERATE, ephemeral=True):
    """Somebody has reported something: `reportId` is its case in the queue. Said to moderators."""

    report_id: Id
    target_type: str
    reason: str
    reporters: int
    first_at: datetime


class ReportUpdated(Publication, event="report_updated", verb=Verb.MODERATE, ephemeral=True):
    """A case was claimed, let go, or decided on. Said to moderators."""

    report_id: Id
    status: Status
    reporters: int
    claimed_by: Id | None
    decided_by: Id | None
