"""What moderators may do about what, for how long, and what stands in the way."""

from datetime import datetime, timedelta

from common.clock import now
from common.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited
from realtime.features.moderation.schemas.common import Action, Decision, Lasting

MAX_APPEALS = 3
"""About one action; whoever decides on the last one has the last word."""
APPEAL = "appeal"
"""What an appeal is reported as, and the kind of its target."""

ON_APPEALS: frozenset[Decision] = frozenset({"accept", "reject"})
ACTIONS: dict[Decision, Action] = {"warn": "warn", "mute": "mute", "limit": "limit", "ban": "ban"}


class TargetNotFound(NotFound):
    text = "There is no such thing to report."


class ReportNotFound(NotFound):
    text = "There is no such report."


class SanctionNotFound(NotFound):
    text = "There is no such action."


class TooManyReports(RateLimited):
    code, text = "too_many_reports", "That is as much as one person can report in a day."


class AlreadyResolved(Conflict):
    code, text = "already_resolved", "This has been decided on already."


class ClaimedByOther(Conflict):
    code, text = "claimed_by_other", "Somebody else looks into this."


class SanctionOver(Conflict):
    code, text = "sanction_over", "This does not hold any more, or was taken back."


class StaffProtected(Conflict):
    code, text = "staff_protected", "Nothing can be done about somebody who has a role. Take the role first."


class AppealOpen(Conflict):
    code, text = "appeal_open", "An appeal about this waits for a decision."


class AppealTokenUsed(Conflict):
    code, text = (
        "appeal_token_used",
        "With this an appeal has been made. Log in again to see what became of it.",
    )


class AppealsUsedUp(Conflict):
    code, text = "appeals_used_up", "About this there have been as many appeals as there can be."


class Muted(Forbidden):
    code, text = "account_muted", "You may read, but not write, for now."


def require_fitting(target_type: str, wanted: Decision) -> None:
    """Refuse to decide on an appeal as if it were anything else, and the other way round."""
    if (target_type == APPEAL) != (wanted in ON_APPEALS):
        raise Invalid.field("action", "does not fit what was reported")


def ends(action: Action, lasting: Lasting) -> datetime | None:
    """When it ends; None: never. A warning is said, and does not last."""
    named = lasting.duration_seconds is not None or lasting.until is not None
    if action == "warn" and named:
        raise Invalid.field("durationSeconds", "a warning does not last")
    at = now()
    if lasting.duration_seconds is not None:
        return at + timedelta(seconds=lasting.duration_seconds)
    if lasting.until is not None and lasting.until <= at:
        raise Invalid.field("until", "is over already")
    return lasting.until


def day_of(moment: datetime) -> str:
    """The UTC day of a moment."""
    return moment.date().isoformat()


def seconds_left(moment: datetime) -> float:
    """Until the next UTC day."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - moment).total_seconds()
