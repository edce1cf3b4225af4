"""What a client says after every (re)connect and whenever it sees a gap."""

from realtime.features.sync.schemas import SyncIn, SyncOut
from realtime.features.sync.service import SyncService
from realtime.gateway.commands import command
from realtime.gateway.session import Session
from realtime.policy import Verb


class SyncCommands:
    """Catching up over the socket."""

    def __init__(self, sync: SyncService) -> None:
        self._sync = sync

    @command("sync", Verb.OWN)
    async def sync(self, session: Session, body: SyncIn) -> SyncOut:
        """Get everything after the positions one has: messages of conversations, and changes."""
        return await self._sync.sync(session.user_id, body)
