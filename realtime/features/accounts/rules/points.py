"""What people do earns points, up to a number of times a day; points make the tier."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from realtime.features.accounts.schemas.users import Tier

Kind = Literal[
    "visit", "message", "friend", "post", "comment", "room", "event_hosted", "event_attended", "rating"
]


@dataclass(frozen=True, slots=True)
class Award:
    """Points for one thing, and how often a day it counts."""

    points: int
    a_day: int


AWARDS: dict[Kind, Award] = {
    "visit": Award(5, 1),
    "message": Award(1, 20),
    "friend": Award(5, 5),
    "post": Award(10, 3),
    "comment": Award(2, 10),
    "room": Award(5, 3),
    "event_hosted": Award(20, 2),
    "event_attended": Award(15, 2),
    "rating": Award(3, 5),
}
MESSAGES_COUNT_EVERY = 60.0
"""Seconds between two messages of a person that are worth looking at."""

TIERS: tuple[tuple[int, Tier], ...] = ((1500, "Platinum"), (750, "Gold"), (250, "Silver"))


def tier(score: int) -> Tier:
    """The tier that a score has reached."""
    for least, name in TIERS:
        if score >= least:
            return name
    return "Bronze"


def day(moment: datetime) -> str:
    """The UTC day of a moment, as the ledger writes it."""
    return moment.date().isoformat()


def seconds_left(moment: datetime) -> float:
    """Seconds until the UTC day of a moment ends."""
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return (start + timedelta(days=1) - moment).total_seconds()


def living_streak(streak: int, last_day: str | None, today: str) -> int:
    """The streak as it stands today: it ends with the first whole day without activity."""
    return streak if last_day is not None and last_day >= _day_before(today) else 0


def _day_before(text: str) -> str:
    return (date.fromisoformat(text) - timedelta(days=1)).isoformat()
