"""What connections and clients say about who is looking at them."""

from realtime.features.push.schemas import AppStateIn, AppStateOut
from realtime.features.push.service.foreground import Foreground
from realtime.gateway.commands import command
from realtime.gateway.session import Session
from realtime.policy import Verb


class PushCommands:
    """The command about a client's own state, and the gateway's hook."""

    def __init__(self, foreground: Foreground) -> None:
        self._foreground = foreground

    @command("app_state", Verb.OWN)
    def app_state(self, session: Session, body: AppStateIn) -> AppStateOut:
        """Say that the app has gone to the background, where it wants pushes again, or come back.

        A new connection is in the foreground.
        """
        self._foreground.says(session.user_id, session.id, body.state == "foreground")
        return AppStateOut(state=body.state)

    async def opened(self, session: Session) -> None:
        """Count the connection as in the foreground."""
        self._foreground.opened(session.user_id, session.id)

    async def closed(self, session: Session) -> None:
        """Forget the connection."""
        self._foreground.closed(session.user_id, session.id)
