"""The queue as moderators see it, what they decide, and what they hear of it live."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.features.moderation.schemas.common import Action, Decision, Lasting, Short, Status, TargetType
from realtime.policy import Verb


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
