"""The one place that knows what time it is."""

from datetime import UTC, datetime


def now() -> datetime:
    """Current UTC time, cut to milliseconds: what MongoDB can keep."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: datetime) -> str:
    """ISO-8601 UTC with milliseconds and `Z`, as the wire shows times."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
