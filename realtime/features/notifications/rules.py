"""What makes an occurrence, what a person wants to be told, and when it is quiet."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from common.ids import Id
from realtime.features.notifications.schemas import (
    TYPES,
    NotificationType,
    PreferencesOut,
    QuietHours,
    TypeChoice,
)

KEEP = 500
"""Notifications of a person; older ones go."""
TRIM_EVERY = 16
PER_ACTOR = 50
"""Of one actor: nobody drowns what others have done."""
OCCURRENCES = 50
"""Of one notification are remembered, to know a retry by."""
RING_AGAIN = timedelta(minutes=10)
"""What was taken back and is done again within this time is listed, but not pushed."""
RINGS_AGAIN: frozenset[NotificationType] = frozenset({"new_message", "missed_call"})
"""These go when somebody has seen to them, not when who did it takes them back."""

TITLES: dict[str, str] = {
    "friend_request": "Friend request",
    "friend_accepted": "New friend",
    "post_like": "New like",
    "post_comment": "New comment",
    "new_message": "New message",
    "missed_call": "Missed call",
    "event_invite": "Invitation",
    "event_update": "Event changed",
    "rating": "New rating",
    "trust_level": "Trust level",
    "ticket": "Your ticket",
    "payment": "Payment",
    "system": "Plaza",
}


def occurrence(actor: Id | None, data: Mapping[str, Any]) -> str:
    """Tells one occurrence from another (BLAKE2b, 64 bits)."""
    parts = orjson.dumps([actor, data], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(parts, digest_size=8).hexdigest()


def push_key(type_: str, key: str) -> str:
    """By what devices know which note a newer one replaces."""
    return f"{type_}:{key}"


def preferences(
    types: Mapping[str, Mapping[str, bool]], quiet_hours: Mapping[str, Any] | None
) -> PreferencesOut:
    """What was chosen, and what holds for who has not."""
    chosen: dict[NotificationType, TypeChoice] = {
        type_: TypeChoice.model_validate(types.get(type_, {})) for type_ in TYPES
    }
    return PreferencesOut(types=chosen, quiet_hours=QuietHours.model_validate(quiet_hours or {}))


def is_quiet(hours: QuietHours, moment: datetime) -> bool:
    """Whether it is quiet on the person's clock."""
    if not hours.enabled:
        return False
    clock = moment.astimezone(ZoneInfo(hours.time_zone)).strftime("%H:%M")
    if hours.from_ < hours.to:
        return hours.from_ <= clock < hours.to
    return clock >= hours.from_ or clock < hours.to


def rings(type_: NotificationType, gone_at: datetime | None, at: datetime) -> bool:
    """Whether a new notification is pushed, as far as its past decides."""
    return gone_at is None or type_ in RINGS_AGAIN or at - gone_at > RING_AGAIN
