"""What a request makes of a stored profile: the fields it names, and those that follow from them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from common.clock import now
from common.errors import Conflict, Invalid
from common.words import fold
from documents.accounts import HeldHandle, User, UserSettings, claims_of
from realtime.features.accounts.rules import finding
from realtime.features.accounts.schemas import handles
from realtime.features.accounts.schemas.users import ProfileIn, SettingsIn

_ELSEWHERE = frozenset({"settings", "handle", "skills", "avatar", "cover_photo"})
_CHANGE, _HOLD = timedelta(days=handles.CHANGE_DAYS), timedelta(days=handles.HOLD_DAYS)


class HandleChangedLately(Conflict):
    code, text = "handle_changed_lately", f"A handle can be changed once in {handles.CHANGE_DAYS} days."


def changes(user: User, body: ProfileIn) -> dict[str, Any]:
    """The stored fields that a request changes; pictures are looked up elsewhere."""
    named: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set - _ELSEWHERE}
    if "interests" in named:
        named["interests"] = _distinct(named["interests"])
    if body.skills is not None:
        named["skills"] = [{"name": name, "level": level} for name, level in body.skills.items()]
    if body.handle is not None and body.handle != user.handle:
        named.update(_handle_changes(user, body.handle))
    settings = _settings(user.settings, body.settings)
    after = user.model_copy(update={**named, "settings": settings})
    return {**named, "settings": settings.model_dump(), **found_by(after)}


def _settings(before: UserSettings, body: SettingsIn | None) -> UserSettings:
    """What was chosen before, with what is named now; an audience of null is no choice any more."""
    if body is None:
        return before
    named = body.model_dump(exclude_unset=True)
    if "visibility" in named:
        merged = {**before.visibility, **named["visibility"]}
        named["visibility"] = {shown: audience for shown, audience in merged.items() if audience is not None}
    return before.model_copy(update=named)


def _handle_changes(user: User, handle: str) -> dict[str, Any]:
    """A new handle; another spelling of the same one is free, a new one has to wait.

    The one that is given up stays its owner's for a while: nobody can take it to be taken for them.
    """
    if handles.is_reserved(handle):
        raise Invalid.field("handle", "this name is reserved")
    key, skeleton, at = handles.key(handle), handles.skeleton(handle), now()
    if key == user.handle_key:
        return {"handle": handle}
    last = user.handle_changed_at
    if last is not None and at - last < _CHANGE:
        raise HandleChangedLately(retry_after=_seconds_until(last + _CHANGE, at))
    given_up = HeldHandle(key=user.handle_key, skeleton=user.handle_skeleton, until=at + _HOLD)
    held = [one for one in user.held_handles if one.until > at and one.key not in {key, given_up.key}]
    held.append(given_up)
    return {
        "handle": handle,
        "handle_key": key,
        "handle_skeleton": skeleton,
        "handle_changed_at": at,
        "handle_claims": claims_of(key, skeleton, held),
        "held_handles": [one.model_dump() for one in held],
    }


def found_by(user: User) -> dict[str, Any]:
    """The stored fields that find somebody: what everybody may see of them."""
    if user.privacy == "private":
        return finding.by_nothing()
    return finding.by(
        user,
        interests=user.settings.audience("interests") == "public",
        university=user.settings.audience("education") == "public",
    )


def _distinct(tags: Iterable[str]) -> list[str]:
    return list({fold(tag): tag for tag in tags}.values())


def _seconds_until(moment: datetime, at: datetime) -> float:
    return (moment - at).total_seconds()
