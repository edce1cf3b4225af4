"""When hiding takes effect."""

from datetime import datetime, timedelta


def is_hidden(hidden_since: datetime | None, at: datetime, grace: float) -> bool:
    """Whether hiding has taken effect: like a drop, it is noticed only after the grace period."""
    return hidden_since is not None and at >= hidden_since + timedelta(seconds=grace)
