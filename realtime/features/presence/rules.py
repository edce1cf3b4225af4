"""When a person's presence is shown."""

from datetime import datetime, timedelta

from realtime.features.presence.schemas import Privacy


def shows_presence(privacy: Privacy) -> bool:
    """Whether friends may know at all."""
    return privacy != "private"


def is_hidden(hidden_since: datetime | None, at: datetime, grace: float) -> bool:
    """Whether hiding has taken effect: like a drop, it is noticed only after the grace period."""
    return hidden_since is not None and at >= hidden_since + timedelta(seconds=grace)
