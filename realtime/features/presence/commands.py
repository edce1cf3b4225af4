"""What connections and clients say about presence."""

import structlog

from common.errors import AppError
from common.ids import Id
from realtime.actors import Actors
from realtime.features.presence.actor import Closed, Opened, UserActor
from realtime.features.presence.schemas import (
    PresenceModeIn,
    PresenceModeOut,
    PresenceQueryIn,
    PresenceStatesOut,
)
from realtime.features.presence.service import PresenceService
from realtime.gateway.commands import command
from realtime.gateway.session import Session
from realtime.policy import Verb

log = structlog.get_logger(__name__)


class PresenceCommands:
    """Commands about presence, and the gateway's hook that tells user actors of their connections."""

    def __init__(self, presence: PresenceService, actors: Actors) -> None:
        self._presence, self._actors = presence, actors
        presence.on_overdue = self._tell_closed
        actors.register("user", lambda user_id: UserActor(user_id, presence))

    @command("presence_query", Verb.SEE_PRESENCE)
    async def presence_query(self, session: Session, body: PresenceQueryIn) -> PresenceStatesOut:
        """Which of these people are online, as far as the caller may know."""
        return await self._presence.query(session.user_id, body.user_ids)

    @command("presence_set", Verb.OWN)
    async def presence_set(self, session: Session, body: PresenceModeIn) -> PresenceModeOut:
        """Become invisible, which looks to friends like going offline, or visible again."""
        await self._presence.set_mode(session.user_id, body.mode)
        return PresenceModeOut(mode=body.mode)

    async def opened(self, session: Session) -> None:
        """Count the connection; friends are told in the background."""
        self._actors.tell("user", session.user_id, Opened())
        self._presence.connected(session.user_id, session.id)

    async def closed(self, session: Session) -> None:
        """Forget the connection; after the last one the grace period begins."""
        if self._presence.disconnected(session.user_id, session.id):
            self._tell_closed(session.user_id)

    def _tell_closed(self, user_id: Id) -> None:
        try:
            self._actors.tell("user", user_id, Closed())
        except AppError as refusal:
            log.warning("closed_connection_not_told", code=refusal.code)
