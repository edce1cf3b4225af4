"""Appeals: saying that something should not have been done, also when one cannot log in any more."""

from typing import Any

from common.ids import Id
from common.tokens import AppealTokens, InvalidToken
from documents.moderation import Report, Sanction
from realtime.features.moderation import rules, store
from realtime.features.moderation.schemas.people import AppealIn, AppealOut
from realtime.features.moderation.service.reports import ReportService


class AppealService:
    """An appeal waits in the queue like a report, of the action by whom it is against; one at a time."""

    def __init__(self, reports: ReportService, tokens: AppealTokens) -> None:
        self._reports, self._tokens = reports, tokens

    async def appeal(self, caller: Id | None, body: AppealIn) -> AppealOut:
        """Appeal against what was done about oneself: logged in, or with the token of a refused log-in."""
        if body.token is not None:
            sanction = await self._by_token(body.token)
        else:
            sanction = await self._own(caller, body.sanction_id or "")
        if not sanction.holds:
            raise rules.SanctionOver
        if await Report.open_of(sanction.user_id, rules.APPEAL, sanction.id) is not None:
            raise rules.AppealOpen
        if sanction.appeals >= rules.MAX_APPEALS:
            raise rules.AppealsUsedUp
        return store.appeal(await self._store(sanction, body.text))

    async def _own(self, caller: Id | None, sanction_id: Id) -> Sanction:
        sanction = await Sanction.by_id(sanction_id)
        if sanction is None or sanction.user_id != caller:
            raise rules.SanctionNotFound
        return sanction

    async def _by_token(self, token: str) -> Sanction:
        """What a token is about; one that has been used says what has become of it."""
        sanction = await Sanction.by_id(self._tokens.subject(token))
        if sanction is None:
            raise InvalidToken
        if self._tokens.fits(token, sanction.appeals):
            return sanction
        if any(self._tokens.fits(token, number) for number in range(sanction.appeals)):
            raise rules.AppealTokenUsed
        raise InvalidToken

    async def _store(self, sanction: Sanction, text: str) -> Report:
        report = Report(
            case_id=sanction.id,
            reporter=sanction.user_id,
            target_type=rules.APPEAL,
            target_id=sanction.id,
            reason=rules.APPEAL,
            text=text,
            evidence={"sanction": store.sanction(sanction).model_dump(mode="json", by_alias=True)},
        )

        async def count(session: Any) -> None:
            """Of two at the same time one has the number."""
            if not await Sanction.count_appeal(sanction.id, sanction.appeals, session):
                raise rules.AppealOpen

        stored = await self._reports.store(report, sanction.user_id, count)
        if stored.id != report.id:
            raise rules.AppealOpen
        return stored
