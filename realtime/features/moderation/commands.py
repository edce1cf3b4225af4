"""What connections hear of the queue: those of moderators everything, others nothing."""

from realtime import channels
from realtime.fanout import LocalFanout
from realtime.features.moderation.schemas import Staff
from realtime.gateway.session import Session


class ModeratorSockets:
    """A hook of the gateway. Roles that change tell the sockets; `sweep` sees to those that were not told."""

    def __init__(self, local: LocalFanout, staff: Staff) -> None:
        self._local, self._staff = local, staff

    async def opened(self, session: Session) -> None:
        """Let a moderator hear of the queue from the beginning."""
        if await self._staff.is_staff(session.user_id):
            self._local.join(session, channels.MODERATORS)

    async def closed(self, session: Session) -> None:
        """Fan-out has forgotten the session already."""

    async def sweep(self) -> None:
        """Let nobody listen who has no role any more."""
        listeners = self._local.listeners(channels.MODERATORS)
        roles = {user: await self._staff.is_staff(user) for user in {one.user_id for one in listeners}}
        for listener in listeners:
            if not roles[listener.user_id]:
                self._local.leave(listener, channels.MODERATORS)
