"""The two halves of it, and the task behind both."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.settings import Settings
from common.tokens import RestoreTokens
from realtime.features.personal.schemas import (
    Accounts,
    Belongings,
    Conversations,
    Groups,
    Notifications,
    Updates,
)
from realtime.features.personal.service.building import Builder
from realtime.features.personal.service.caretaker import Caretaker
from realtime.features.personal.service.deletions import DeletionService
from realtime.features.personal.service.erasing import Eraser
from realtime.features.personal.service.exports import ExportService
from realtime.features.personal.service.news import LeavingNews


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What other features do for somebody who leaves. `belongings` are copied and erased like documents."""

    accounts: Accounts
    groups: Groups
    conversations: Conversations
    notifications: Notifications
    updates: Updates
    belongings: Sequence[Belongings] = ()


class PersonalService:
    """Copies and deletions, and what this node does for them in the background."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        limits = settings.personal
        self.deletions = DeletionService(limits, around.accounts, RestoreTokens(settings.secret()))
        self.exports = ExportService(limits)
        news = LeavingNews(around.updates, around.conversations, around.notifications)
        eraser = Eraser(limits, around.accounts, around.groups, news, around.belongings)
        builder = Builder(limits, around.belongings)
        self._caretaker = Caretaker((eraser.work, builder.work), look_every=limits.look_every)
        self.deletions.on_change = self.exports.on_change = self._caretaker.wake

    def start(self) -> None:
        """Begin to erase and to copy."""
        self._caretaker.start()

    async def stop(self) -> None:
        """What is under way is taken up by another node, or by this one when it is back."""
        await self._caretaker.stop()
