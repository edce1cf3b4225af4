"""The command that does nothing: clients measure the way and set their clocks by it."""

import time

from realtime.channels import Wire
from realtime.gateway.commands import command
from realtime.gateway.session import Session


class PingIn(Wire):
    """Nothing need be said."""


class PingOut(Wire):
    """The server's time."""

    time: int
    """Milliseconds since 1970, UTC."""


class PingCommands:
    """What every socket may ask, whatever else the server offers."""

    @command("ping")
    def ping(self, session: Session, body: PingIn) -> PingOut:
        """Ask for an answer, and nothing else. Half the time it took is what to add to `time`."""
        return PingOut(time=time.time_ns() // 1_000_000)
