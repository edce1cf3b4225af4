"""From stored people to what the wire shows of them."""

from typing import Any

from common.clock import now
from documents.accounts import User
from realtime.features.accounts.rules import points
from realtime.features.accounts.schemas.admin import AdminUserOut
from realtime.features.accounts.schemas.users import MeOut, PersonOut, SettingsOut, UserCard

_COMPUTED = {"tier", "streak", "is_online"}
_PERSON = PersonOut.model_fields.keys() - _COMPUTED
_ADMIN = AdminUserOut.model_fields


def card(user: User) -> UserCard:
    """What everybody may see."""
    return UserCard(id=user.id, name=user.name, handle=user.handle, avatar=user.avatar)


def person_fields(user: User, *, is_online: bool) -> dict[str, Any]:
    """What a profile shows to those who may see it."""
    shown = {name: getattr(user, name) for name in _PERSON}
    streak = points.living_streak(user.streak, user.streak_day, points.day(now()))
    return {**shown, "tier": points.tier(user.vibe_score), "streak": streak, "is_online": is_online}


def own_fields(user: User, *, is_online: bool) -> dict[str, Any]:
    """What only the person themselves sees, too."""
    settings = SettingsOut(**user.settings.model_dump())
    return {**person_fields(user, is_online=is_online), "email": user.email, "settings": settings}


def me(user: User, *, is_online: bool = False) -> MeOut:
    """The caller as they see themselves."""
    return MeOut(
        **own_fields(user, is_online=is_online),
        username=user.username,
        is_admin=user.is_admin,
        is_approved=user.is_approved,
    )


def admin_row(user: User) -> AdminUserOut:
    """An account as administrators see it."""
    return AdminUserOut(**{name: getattr(user, name) for name in _ADMIN})
