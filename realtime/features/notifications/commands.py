"""What a client may say about notifications."""

from realtime.features.notifications.schemas import ReadAllIn, ReadNotificationIn, UnreadOut
from realtime.features.notifications.service import NotificationService
from realtime.gateway.commands import command
from realtime.gateway.session import Session
from realtime.policy import Verb


class NotificationCommands:
    """Reading, over the socket: what is read on one device is read on all."""

    def __init__(self, notifications: NotificationService) -> None:
        self._notifications = notifications

    @command("read_notification", Verb.OWN)
    async def read_notification(self, session: Session, body: ReadNotificationIn) -> UnreadOut:
        """Have read a notification."""
        return await self._notifications.read(session.user_id, body.id)

    @command("read_all_notifications", Verb.OWN)
    async def read_all_notifications(self, session: Session, body: ReadAllIn) -> UnreadOut:
        """Have read all notifications there are."""
        return await self._notifications.read_all(session.user_id)
