"""Reporting: what somebody saw, as it was when they said so."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from common.clock import now
from common.errors import Invalid, Unavailable
from common.ids import Id
from common.settings import Moderation
from documents.moderation import Case, Report, ReportCount, Taken
from realtime.features.moderation import rules, store
from realtime.features.moderation.schemas.needs import Rows, TargetKind, Transactions, Window
from realtime.features.moderation.schemas.people import ReportIn, ReportOut
from realtime.features.moderation.service.news import QueueNews
from realtime.order import Turns

log = structlog.get_logger(__name__)

_ATTEMPTS = 5
_OWN: dict[str, Any] = {"target_type": {"$ne": rules.APPEAL}}
_APPEALS: dict[str, Any] = {"target_type": rules.APPEAL}


class ReportService:
    """One open report for each person and target; those about the same target are one case."""

    def __init__(self, limits: Moderation, database: Transactions, news: QueueNews) -> None:
        self._limits, self._database, self._news = limits, database, news
        self._kinds: dict[str, TargetKind] = {}
        self._turns = Turns()

    def register(self, target_type: str, kind: TargetKind) -> None:
        """Let things of another kind be reported."""
        self._kinds[target_type] = kind

    async def report(self, reporter: Id, body: ReportIn) -> ReportOut:
        """Report something one can see; who has an open report about it gets that one."""
        kind = self._kinds.get(body.target_type)
        if kind is None:
            raise Invalid.field("targetType", f"is one of {', '.join(sorted(self._kinds))}")
        async with self._turns.of(body.target_id):  # many report the same at once
            return store.own_report(await self._report(kind, reporter, body))

    async def _report(self, kind: TargetKind, reporter: Id, body: ReportIn) -> Report:
        known = await Report.open_of(reporter, body.target_type, body.target_id)
        if known is not None:
            return known
        found = await kind.evidence(reporter, body.target_id)
        if found is None:
            raise rules.TargetNotFound
        subject, evidence = found
        if subject == reporter:
            raise Invalid.field("targetId", "is yourself, or of your own doing")
        report = Report(
            case_id=body.target_id,
            reporter=reporter,
            target_type=body.target_type,
            target_id=body.target_id,
            reason=body.reason,
            text=body.text,
            evidence=dict(evidence),
        )
        return await self._counted(report, subject)

    async def _counted(self, report: Report, subject: Id) -> Report:
        """Store it, if the day is not full; what turns out to be a repetition does not count."""
        at = now()
        day = rules.day_of(at)
        if not await ReportCount.take(report.reporter, day, self._limits.reports_per_day):
            raise rules.TooManyReports(retry_after=rules.seconds_left(at))
        try:
            stored = await self.store(report, subject)
        except BaseException:
            await ReportCount.give_back(report.reporter, day)
            raise
        if stored.id != report.id:
            await ReportCount.give_back(report.reporter, day)
        return stored

    async def store(
        self, report: Report, subject: Id, first: Callable[[Any], Awaitable[object]] | None = None
    ) -> Report:
        """Add a report to the open case about its target; the one that is there, if it is a repetition.

        What has to be done `first` is done in the same transaction.
        """
        target = (report.target_type, report.target_id)

        async def work(session: Any) -> Case:
            if first is not None:
                await first(session)
            case = await Case.join(target, subject, report.reason, session)
            report.case_id = case.id
            await report.add(session)
            return case

        for _ in range(_ATTEMPTS):
            try:
                case = await self._database.transaction(work)
            except Taken:  # somebody opens the case just now, or this person has reported it
                known = await Report.open_of(report.reporter, *target)
                if known is not None:
                    return known
                continue
            log.info("report_received", case_id=case.id, target_type=report.target_type)
            self._news.received(case, report.reason)
            return report
        raise Unavailable

    # -- one's own

    async def own(self, reporter: Id, window: Window) -> Rows[ReportOut]:
        """What somebody has reported, newest first."""
        found, total, behind = await self._page(reporter, _OWN, window)
        return Rows([store.own_report(report) for report in found], total, behind)

    async def own_appeals(self, user_id: Id, window: Window) -> Rows[Any]:
        """What somebody has appealed against, newest first."""
        found, total, behind = await self._page(user_id, _APPEALS, window)
        return Rows([store.appeal(report) for report in found], total, behind)

    async def _page(
        self, reporter: Id, only: dict[str, Any], window: Window
    ) -> tuple[list[Report], int, tuple[str, str] | None]:
        after = window.after
        before = (datetime.fromisoformat(after[0]), after[1]) if after is not None else None
        skip = 0 if after is not None else window.skip
        found = list(await Report.page(reporter, only, window.limit + 1, before=before, skip=skip))
        total = await Report.count_of(reporter, only)
        last = found[window.limit - 1] if len(found) > window.limit else None
        behind = (last.created_at.isoformat(), last.id) if last is not None else None
        return found[: window.limit], total, behind
