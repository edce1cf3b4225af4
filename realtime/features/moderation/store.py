"""Who is muted, in memory; people as evidence; and stored cases as the wire shows them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from common.clock import iso, now
from common.ids import Id
from documents.moderation import Case, MutedPeople, Report, Sanction
from realtime.features.moderation.rules import MAX_APPEALS, Muted
from realtime.features.moderation.schemas.needs import People, Person
from realtime.features.moderation.schemas.people import AppealOut, OwnSanctionOut, ReportOut
from realtime.features.moderation.schemas.queue import CaseOut, EvidenceOut, PersonCard, SanctionOut
from realtime.policy import PersonAbsent, Policy, Refused, Verb

OVERLAP = timedelta(seconds=15)
"""How far clocks of nodes may differ, and a commit may take, without a change being overlooked."""


class Mutes:
    """Who may not speak. Every message asks, so this is known beforehand: `look` keeps it so."""

    def __init__(self) -> None:
        self._until: dict[Id, datetime | None] = {}
        self._looked: datetime | None = None

    def require_voice(self, user_id: Id) -> None:
        """Refuse who is muted now; raises `Muted`."""
        if user_id not in self._until:
            return
        until = self._until[user_id]
        if until is not None and until <= now():
            del self._until[user_id]
            return
        raise Muted(detail={"until": iso(until) if until is not None else None})

    async def look(self) -> None:
        """Learn what has changed since the last look, on whichever node."""
        started = now()
        for user_id, until in (await MutedPeople.changed_since(self._looked)).items():
            if until is False:
                self._until.pop(user_id, None)
            else:
                self._until[user_id] = until
        self._looked = started - OVERLAP

    def __len__(self) -> int:
        return len(self._until)


class ReportablePeople:
    """People as what can be reported: also those whom the reporter has blocked."""

    def __init__(self, policy: Policy, people: People) -> None:
        self._policy, self._people = policy, people

    async def evidence(self, reporter: Id, target_id: Id) -> tuple[Id, Mapping[str, Any]] | None:
        try:
            await self._policy.require(reporter, Verb.REPORT, target_id)
        except (PersonAbsent, Refused):
            return None
        person = await self._people.get(target_id)
        return (person.id, {"profile": _profile(person)}) if person is not None else None


def _profile(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "handle": person.handle,
        "name": person.name,
        "avatar": person.avatar,
        "coverPhoto": person.cover_photo,
        "bio": person.bio,
        "location": person.location,
        "website": person.website,
        "interests": list(person.interests),
    }


# -- from stored to shown


def card(person: Person) -> PersonCard:
    return PersonCard(id=person.id, name=person.name, handle=person.handle, avatar=person.avatar)


def own_report(report: Report) -> ReportOut:
    return ReportOut(
        id=report.id,
        target_type=report.target_type,
        target_id=report.target_id,
        reason=report.reason,
        text=report.text,
        status=report.state,
        created_at=report.created_at,
        decided_at=report.decided_at,
    )


def evidence(report: Report) -> EvidenceOut:
    return EvidenceOut(
        id=report.id,
        reporter_id=report.reporter,
        reason=report.reason,
        text=report.text,
        created_at=report.created_at,
        evidence=report.evidence,
    )


def case(found: Case) -> CaseOut:
    return CaseOut(**case_fields(found))


def case_fields(found: Case) -> dict[str, Any]:
    return {
        "id": found.id,
        "target_type": found.target_type,
        "target_id": found.target_id,
        "subject_id": found.subject_id,
        "status": found.state,
        "reporters": found.reporters,
        "reasons": found.reasons,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "claimed_by": found.holder,
        "claimed_until": found.claimed_until if found.holder is not None else None,
        "decided_by": found.decided_by,
        "decided_at": found.decided_at,
        "action": found.outcome,
        "sanction_id": found.sanction_id,
        "note": found.note,
    }


def sanction(found: Sanction) -> SanctionOut:
    return SanctionOut(
        id=found.id,
        user_id=found.user_id,
        action=found.action,
        reason=found.reason,
        note=found.note,
        report_id=found.case_id,
        issued_by=found.issued_by,
        issued_at=found.issued_at,
        until=found.until,
        status=_status(found),
        reversed_by=found.reversed_by,
        reversed_at=found.reversed_at,
        reversed_why=found.reversed_why,
        appeals=found.appeals,
    )


def own_sanction(found: Sanction, *, waits: bool) -> OwnSanctionOut:
    """As the person concerned sees it; `waits`: an appeal about it is not decided on."""
    return OwnSanctionOut(
        id=found.id,
        action=found.action,
        reason=found.reason,
        issued_at=found.issued_at,
        until=found.until,
        status=_status(found),
        appeal=_appeal(found, waits=waits),
    )


def _appeal(found: Sanction, *, waits: bool) -> Any:
    if not found.holds:
        return "over"
    if waits:
        return "open"
    return "possible" if found.appeals < MAX_APPEALS else "used_up"


def _status(found: Sanction) -> Any:
    if found.state == "reversed":
        return "reversed"
    return "active" if found.holds else "expired"


def appeal(report: Report) -> AppealOut:
    states: dict[str, Any] = {"open": "open", "resolved": "accepted", "dismissed": "rejected"}
    return AppealOut(
        id=report.id,
        sanction_id=report.target_id,
        text=report.text,
        status=states[report.state],
        created_at=report.created_at,
        decided_at=report.decided_at,
    )
