"""From stored people to what the wire shows of them."""

from collections.abc import Callable
from typing import Any

from common.clock import now
from documents.accounts import Shown, User
from documents.accounts.standing import FLAGS, holds
from realtime.features.accounts.rules import points
from realtime.features.accounts.schemas.admin import AdminUserOut
from realtime.features.accounts.schemas.users import MeOut, PersonOut, SettingsOut, UserCard

_PARTS: dict[Shown, tuple[str, ...]] = {
    "bio": ("bio",),
    "location": ("location",),
    "website": ("website",),
    "full_name": ("full_name",),
    "education": ("university", "degree", "year"),
    "interests": ("interests",),
    "skills": ("skills",),
    "score": ("vibe_score", "tier", "streak"),
}
"""The fields of a profile that have an audience of their own."""

_NEVER_SAID: dict[str, Any] = {
    "bio": "",
    "location": "",
    "website": "",
    "full_name": "",
    "university": "",
    "degree": "",
    "year": "",
    "interests": [],
    "skills": {},
    "vibe_score": 0,
    "tier": "Bronze",
    "streak": 0,
}
"""What stands for a part that the viewer does not see: what somebody new has, who has said nothing."""

_PRESENCE = {"last_active", "is_online"}
_ALWAYS = PersonOut.model_fields.keys() - _NEVER_SAID.keys() - _PRESENCE
_ADMIN = AdminUserOut.model_fields


def card(user: User) -> UserCard:
    """What everybody may see."""
    return UserCard(id=user.id, name=user.name, handle=user.handle, avatar=user.avatar)


def parts(user: User, sees: Callable[[Shown], bool]) -> dict[str, Any]:
    """Those parts of a profile that are seen."""
    streak = points.living_streak(user.streak, user.streak_day, points.day(now()))
    computed = {
        "tier": points.tier(user.vibe_score),
        "streak": streak,
        "skills": {skill.name: skill.level for skill in user.skills},
    }
    names = [name for shown, fields in _PARTS.items() if sees(shown) for name in fields]
    return {name: computed[name] if name in computed else getattr(user, name) for name in names}


def whole(user: User, seen: dict[str, Any]) -> dict[str, Any]:
    """A profile of the parts that are seen, with nothing in place of the others; without presence."""
    return {**{name: getattr(user, name) for name in _ALWAYS}, **_NEVER_SAID, **seen}


def own_fields(user: User, *, is_online: bool) -> dict[str, Any]:
    """All that people see of themselves."""
    fields = whole(user, parts(user, lambda _: True))
    presence = {"last_active": user.last_active, "is_online": is_online}
    settings = SettingsOut.model_validate(user.settings.model_dump())
    return {**fields, **presence, "email": user.email, "settings": settings}


def me(user: User, *, is_online: bool = False) -> MeOut:
    """The caller as they see themselves."""
    return MeOut(
        **own_fields(user, is_online=is_online),
        username=user.username,
        is_admin=user.is_admin,
        is_moderator=user.is_moderator,
        is_approved=user.is_approved,
    )


def admin_row(user: User) -> AdminUserOut:
    """An account as administrators see it: what is over is not shown as if it held."""
    shown = {name: getattr(user, name) for name in _ADMIN}
    for restriction, (flag, end) in FLAGS.items():
        shown[flag] = holds(vars(user), restriction)
        shown[end] = shown[end] if shown[flag] else None
    return AdminUserOut(**shown)
