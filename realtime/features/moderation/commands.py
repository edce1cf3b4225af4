"""What connections hear of the queue: those of moderators everything, others nothing."""

from realtime import channels
from realtime.fanout import LocalFanout
from realtime.features.moderation.schemas.needs import Staff
from realtime.gateway.session import Session


class ModeratorSockets:
    """A hook of the gateway. Roles that change tell the sockets; `sweep` sees to those that were not told."""

    def __init__(self, local: LocalFanout, staff: Staff) -> None:
        self._local, self._staff = local, staff

    async def opened(self, session: Session) -> None:
        """Let a moderator hear of the queue from the beginning."""
        if await self._staff.is_staff(session.user_id):
            self._local.join(session, channels.MODERATORS)
            await self._local.settle()

    async def closed(self, session: Session) -> None:
        """Fan-out has forgotten the session already."""

    async def sweep(self) -> None:
        """Let nobody listen who has no role any more: as the database has it now, not as it lately was."""
        listeners = self._local.listeners(channels.MODERATORS)
        if not listeners:
            return
        staff = await self._staff.staff_among({one.user_id for one in listeners})
        for listener in listeners:
            if listener.user_id not in staff:
                self._local.leave(listener, channels.MODERATORS)
