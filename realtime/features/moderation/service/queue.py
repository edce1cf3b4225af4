"""The queue: cases are claimed, looked into, and decided on, once."""

from datetime import datetime, timedelta

from common.ids import Id
from common.settings import Moderation
from documents.moderation import Case, Caught, Claim, Closing, Queue, Report, Sanction
from realtime.features.moderation import rules, store
from realtime.features.moderation.schemas.needs import Neighbours, Rows, Turn, Window
from realtime.features.moderation.schemas.queue import CaseDetailOut, CaseOut, NoteIn, QueueQuery, ResolveIn
from realtime.features.moderation.service.news import QueueNews
from realtime.features.moderation.service.sanctions import SanctionService

SHOWN = 20

_TROUBLE: dict[Caught, type[Exception]] = {
    "gone": rules.ReportNotFound,
    "claimed": rules.ClaimedByOther,
    "decided": rules.AlreadyResolved,
}


class QueueService:
    """What waits for moderators. A case about one's own doing is not there."""

    def __init__(
        self, limits: Moderation, around: Neighbours, sanctions: SanctionService, news: QueueNews
    ) -> None:
        self._limits, self._audit, self._staff = limits, around.audit, around.staff
        self._people, self._sanctions, self._news = around.people, sanctions, news

    # -- looking

    async def page(self, by: Id, wanted: QueueQuery, window: Window) -> Rows[CaseOut]:
        """A part of the queue."""
        await self._staff.require_moderator(by)
        mark = window.after
        after = (int(mark[0]), datetime.fromisoformat(mark[1]), mark[2]) if mark else None
        queue = Queue(by, wanted.status, wanted.type, wanted.reason, wanted.sort, after)
        found, total = await Case.page(queue, window.limit + 1, 0 if after else window.skip)
        last = found[window.limit - 1] if len(found) > window.limit else None
        behind = (str(last.reporters), last.first_at.isoformat(), last.id) if last is not None else None
        return Rows([store.case(one) for one in found[: window.limit]], total, behind)

    async def show(self, by: Id, case_id: Id) -> CaseDetailOut:
        """A case with what was reported, and the history of whose doing it is."""
        await self._staff.require_moderator(by)
        case = await self._case(by, case_id)
        reports = await Report.of_case(case_id, SHOWN)
        earlier = [one for one in await Case.about(case.subject_id, SHOWN) if one.id != case_id]
        subject = (await self._people.many([case.subject_id])).get(case.subject_id)
        return CaseDetailOut(
            **store.case_fields(case),
            reports=[store.evidence(report) for report in reports],
            subject=store.card(subject) if subject is not None else None,
            sanctions=[store.sanction(one) for one in await Sanction.of(case.subject_id, SHOWN)],
            earlier=[store.case(one) for one in earlier],
        )

    async def _case(self, by: Id, case_id: Id) -> Case:
        case = await Case.by_id(case_id)
        if case is None or case.subject_id == by:
            raise rules.ReportNotFound
        return case

    # -- working

    async def claim(self, by: Id, case_id: Id) -> CaseOut:
        """Have a case for oneself for a while."""
        await self._staff.require_moderator(by)
        wanted = Claim(by, timedelta(minutes=self._limits.claim_minutes))

        async def work(turn: Turn) -> Case:
            case = _had(await Case.claim(case_id, wanted, turn.session))
            await turn.note(by, "report_claimed", case.subject_id, report=case_id)
            return case

        return self._said(await self._audit.turn(work))

    async def release(self, by: Id, case_id: Id) -> CaseOut:
        """Let others have it."""
        await self._staff.require_moderator(by)

        async def work(turn: Turn) -> Case:
            case = _had(await Case.release(case_id, by, turn.session))
            await turn.note(by, "report_released", case.subject_id, report=case_id)
            return case

        return self._said(await self._audit.turn(work))

    async def dismiss(self, by: Id, case_id: Id, body: NoteIn) -> CaseOut:
        """Nothing is wrong with it; an appeal that is dismissed was rejected."""
        await self._staff.require_moderator(by)
        case = await self._case(by, case_id)
        outcome = "reject" if case.target_type == rules.APPEAL else "none"
        return await self._decide(case, Closing(by, "dismissed", outcome, body.note))

    async def resolve(self, by: Id, case_id: Id, body: ResolveIn) -> CaseOut:
        """Decide on a case and do what is decided: of two who do, one did."""
        await self._staff.require_moderator(by)
        case = await self._case(by, case_id)
        rules.require_fitting(case.target_type, body.action)
        if body.action in rules.ON_APPEALS:
            state = "resolved" if body.action == "accept" else "dismissed"
            return await self._decide(case, Closing(by, state, body.action, body.note), why=body.reason)
        sanction = _sanction(case, by, body)
        sanction_id = sanction.id if sanction is not None else None
        closing = Closing(by, "resolved", body.action, body.note, sanction_id)
        return await self._decide(case, closing, sanction=sanction)

    async def _decide(
        self, case: Case, closing: Closing, *, sanction: Sanction | None = None, why: str = ""
    ) -> CaseOut:
        """Close the case, its reports with it, and do what follows: all of it, or nothing."""
        if case.target_type == rules.APPEAL:
            await self._require_another(closing.by, case)
        kept = timedelta(days=self._limits.evidence_days)

        async def work(turn: Turn) -> tuple[Case, Sanction | None]:
            closed = _had(await Case.close(case.id, closing, turn.session))
            await Report.decide(case.id, closing.state, kept, turn.session)
            action = f"report_{closing.state}"
            await turn.note(closing.by, action, case.subject_id, report=case.id, action=closing.outcome)
            if sanction is not None:
                await self._sanctions.impose(turn, sanction)
            if closing.outcome == "accept":
                return closed, await self._sanctions.undo(turn, closing.by, case.target_id, why)
            return closed, sanction

        closed, changed = await self._audit.turn(work)
        if changed is not None:
            await self._sanctions.take_effect(changed)
        return self._said(closed)

    async def _require_another(self, by: Id, case: Case) -> None:
        """An appeal is not decided on by whom it is against, unless they administer."""
        sanction = await Sanction.by_id(case.target_id)
        if sanction is not None and sanction.issued_by == by:
            await self._staff.require_admin(by)

    def _said(self, case: Case) -> CaseOut:
        self._news.updated(case)
        return store.case(case)


def _had(found: Case | Caught) -> Case:
    """The case, unless it could not be had."""
    if isinstance(found, Case):
        return found
    raise _TROUBLE[found]


def _sanction(case: Case, by: Id, body: ResolveIn) -> Sanction | None:
    """What is to be done about whose doing it is."""
    action = rules.ACTIONS.get(body.action)
    if action is None:
        return None
    return Sanction(
        user_id=case.subject_id,
        action=action,
        reason=body.reason or f"Reported for {', '.join(sorted(case.reasons)).replace('_', ' ')}",
        note=body.note,
        case_id=case.id,
        issued_by=by,
        until=rules.ends(action, body),
    )
