"""Whether somebody takes part, and what is taken from them for a while: as stored, and as it holds now.

What ends, ends by itself: its end is compared with the clock each time somebody asks.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from common.clock import now
from documents.accounts.choices import Choices, Privacy, audience_for
from documents.rows import Raw

Standing = Literal["active", "pending", "rejected", "banned", "leaving"]
Restriction = Literal["ban", "mute", "limit"]

FLAGS: dict[Restriction, tuple[str, str]] = {
    "ban": ("is_banned", "banned_until"),
    "mute": ("is_muted", "muted_until"),
    "limit": ("is_limited", "limited_until"),
}
"""The two fields of a person that keep a restriction: whether there is one, and when it ends, if ever."""

CALLER = {
    "is_approved": 1,
    "rejected": 1,
    "leaving.deletes_at": 1,
    "is_admin": 1,
    "is_moderator": 1,
    "handle": 1,
    "settings.privacy": 1,
    "settings.visibility": 1,
    **{field: 1 for fields in FLAGS.values() for field in fields},
}


@dataclass(frozen=True, slots=True)
class Caller:
    """What every request asks of the database about who makes it."""

    handle: str
    standing: Standing
    is_admin: bool
    privacy: Privacy
    visibility: Choices
    is_moderator: bool = False
    is_limited: bool = False

    @classmethod
    def of(cls, raw: Raw) -> "Caller":
        """The same from a stored person."""
        settings = raw["settings"]
        return cls(
            raw["handle"],
            standing_of(raw),
            raw["is_admin"],
            settings["privacy"],
            settings.get("visibility", {}),
            raw.get("is_moderator", False),
            holds(raw, "limit"),
        )

    @property
    def is_staff(self) -> bool:
        """Whether they look after reports now: administrators do, too."""
        return self.standing == "active" and (self.is_admin or self.is_moderator)

    def audience(self, verb: str) -> Privacy:
        """Who may see what a verb of the policy asks for."""
        return audience_for(verb, self.privacy, self.visibility)


def holds(raw: Raw, restriction: Restriction) -> bool:
    """Whether a restriction holds at this moment."""
    flag, end = FLAGS[restriction]
    until: datetime | None = raw.get(end)
    return bool(raw.get(flag)) and (until is None or until > now())


def standing_of(raw: Raw) -> Standing:
    """Whether they may take part, and if not, why."""
    if holds(raw, "ban"):
        return "banned"
    if raw.get("leaving") is not None:
        return "leaving"
    if raw["rejected"]:
        return "rejected"
    return "active" if raw["is_approved"] else "pending"


def free_of(restriction: Restriction) -> Raw:
    """A condition: who is not, or not any more, under a restriction."""
    flag, end = FLAGS[restriction]
    return {"$or": [{flag: {"$ne": True}}, {end: {"$lte": now()}}]}


def under(restriction: Restriction) -> Raw:
    """A condition: whom a restriction holds now; they are among those who had one at some time."""
    flag, end = FLAGS[restriction]
    return {"restricted_at": {"$type": "date"}, flag: True, "$or": [{end: None}, {end: {"$gt": now()}}]}


def active() -> Raw:
    """A condition: who takes part."""
    return {"is_approved": True, "rejected": False, "leaving": None, **free_of("ban")}
