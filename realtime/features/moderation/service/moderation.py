"""Moderation as a whole, put together of its parts."""

from common.settings import Moderation
from common.tokens import AppealTokens
from realtime.features.moderation.schemas.needs import Neighbours
from realtime.features.moderation.service.appeals import AppealService
from realtime.features.moderation.service.news import QueueNews
from realtime.features.moderation.service.queue import QueueService
from realtime.features.moderation.service.reports import ReportService
from realtime.features.moderation.service.sanctions import SanctionService
from realtime.features.moderation.store import Mutes, ReportablePeople


class ModerationService:
    """Its parts have doors of their own: reports, queue, sanctions, appeals."""

    def __init__(self, limits: Moderation, tokens: AppealTokens, mutes: Mutes, around: Neighbours) -> None:
        news = QueueNews(around.fanout)
        self.mutes = mutes
        self.reports = ReportService(limits, around.database, news)
        self.reports.register("user", ReportablePeople(around.policy, around.people))
        self.sanctions = SanctionService(around, mutes, tokens)
        self.queue = QueueService(limits, around, self.sanctions, news)
        self.appeals = AppealService(self.reports, tokens)

    async def start(self) -> None:
        """Know who may not speak before anybody does."""
        await self.mutes.look()
