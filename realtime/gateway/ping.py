"""The command that does nothing: by its answer a client knows that the way is open, and how long it is."""

from realtime.channels import Wire
from realtime.gateway.commands import command
from realtime.gateway.session import Session
from realtime.policy import Verb


class PingIn(Wire):
    """Nothing need be said."""


class PingOut(Wire):
    """Nor answered."""


_NOTHING = PingOut()


class PingCommands:
    """What every socket may ask, whatever else the server offers."""

    @command("ping", Verb.TAKE_PART)
    def ping(self, session: Session, body: PingIn) -> PingOut:
        """Ask for an answer, and nothing else."""
        return _NOTHING
