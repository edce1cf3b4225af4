"""Profiles: what others see of somebody, what one changes about oneself, and how people are found."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from common.clock import now
from common.errors import Conflict, Forbidden, Invalid
from common.ids import Id
from documents.accounts import Privacy, User, Window
from realtime.features.accounts.schemas import handles, words
from realtime.features.accounts.schemas.common import Rows
from realtime.features.accounts.schemas.users import (
    MeOut,
    Online,
    OwnProfileOut,
    PrivateProfileOut,
    ProfileIn,
    ProfileOut,
    Relation,
    Relations,
    UserCard,
)
from realtime.features.accounts.service import views
from realtime.features.accounts.service.accounts import AccountExists, AccountService
from realtime.features.accounts.service.people import UserNotFound

_TRIES = 5


class NotYourProfile(Forbidden):
    code, text = "not_your_profile", "You can only change your own profile."


class HandleChangedLately(Conflict):
    code, text = "handle_changed_lately", f"A handle can be changed once in {handles.CHANGE_DAYS} days."


class ProfileBusy(Conflict):
    code, text, retryable = "profile_busy", "The profile is being changed elsewhere. Please try again.", True


class ProfileService:
    """Shows and changes profiles; friendship, blocks and presence decide what is shown."""

    def __init__(self, accounts: AccountService, relations: Relations, online: Online) -> None:
        self._accounts, self._relations, self._online = accounts, relations, online

    async def show(self, viewer: Id, user_id: Id) -> OwnProfileOut | ProfileOut | PrivateProfileOut:
        """A profile as `viewer` may see it; whoever is blocked, either way, is absent."""
        user = await self._accounts.people.get(user_id)
        if user is None or await self._relations.blocked_between(viewer, user_id):
            raise UserNotFound
        relation = await self._relations.relation(viewer, user_id)
        if relation == "self":
            return await self._own(user)
        if not _shows(user.privacy, relation):
            return PrivateProfileOut(**views.card(user).model_dump(), friendship=relation)
        mutual, online = await asyncio.gather(
            self._relations.mutual_count(viewer, user_id), self._online.visible_online(viewer, [user_id])
        )
        fields = views.person_fields(user, is_online=user_id in online)
        if relation != "friends":
            fields["last_active"] = None
        elif user_id not in online:  # who hides looks like who has gone
            fields["last_active"] = await self._online.last_seen(viewer, user_id)
        return ProfileOut(**fields, friendship=relation, mutual_friends=mutual)

    async def _own(self, user: User) -> OwnProfileOut:
        online = await self._online.visible_online(user.id, [user.id])
        return OwnProfileOut(**views.own_fields(user, is_online=user.id in online))

    async def me(self, user_id: Id) -> MeOut:
        """The caller."""
        user = await self._accounts.people.get(user_id)
        if user is None:
            raise UserNotFound
        return views.me(user, is_online=user_id in await self._online.visible_online(user_id, [user_id]))

    async def change(self, viewer: Id, user_id: Id, body: ProfileIn) -> OwnProfileOut:
        """Change one's own profile; what `body` does not name stays."""
        if viewer != user_id:
            raise NotYourProfile
        for _ in range(_TRIES):
            user = await self._accounts.people.get(user_id)
            if user is None:
                raise UserNotFound
            changed = await User.change(user_id, user.revision, _changes(user, body))
            if changed == "taken":
                raise AccountExists
            if changed != "stale":
                self._accounts.sessions.forget_person(user_id)
                return await self._own(changed)
        raise ProfileBusy

    async def search(self, viewer: Id, query: str, window: Window) -> Rows[UserCard]:
        """People whose name, handle or public interests hold every word of the query, by handle."""
        grams, unproven = words.wanted(query)
        if not grams:
            return Rows([], 0, None)
        hidden = await self._relations.hidden_ids(viewer)
        found = await User.search(grams, unproven, hidden, window)
        behind = (found.users[-1].handle_key,) if found.more else None
        return Rows([views.card(user) for user in found.users], found.total, behind)


def _shows(privacy: Privacy, relation: Relation) -> bool:
    """Whether a profile is shown whole."""
    return privacy == "public" or (privacy == "friends" and relation == "friends")


def _changes(user: User, body: ProfileIn) -> dict[str, Any]:
    """The stored fields that a request changes, and those that follow from them."""
    named: dict[str, Any] = {
        name: getattr(body, name) for name in body.model_fields_set - {"settings", "handle"}
    }
    for name in ("avatar", "cover_photo"):
        if name in named:
            named[name] = named[name] or None
    if "interests" in named:
        named["interests"] = _distinct(named["interests"])
    if body.handle is not None and body.handle != user.handle:
        named.update(_handle_changes(user, body.handle))
    settings = user.settings.model_copy(
        update=body.settings.model_dump(exclude_unset=True) if body.settings else {}
    )
    named["settings"] = settings.model_dump()
    after = user.model_copy(update={**named, "settings": settings})
    named["search_text"], named["search_grams"] = words.searchable(_searchable(after))
    return named


def _handle_changes(user: User, handle: str) -> dict[str, Any]:
    """A new handle; another spelling of the same one is free, a new one has to wait."""
    if handles.is_reserved(handle):
        raise Invalid.field("handle", "this name is reserved")
    changes: dict[str, Any] = {"handle": handle}
    if handles.key(handle) != user.handle_key:
        last = user.handle_changed_at
        if last is not None and now() - last < timedelta(days=handles.CHANGE_DAYS):
            raise HandleChangedLately(retry_after=_seconds_left(last))
        changes |= {
            "handle_key": handles.key(handle),
            "handle_skeleton": handles.skeleton(handle),
            "handle_changed_at": now(),
        }
    return changes


def _searchable(user: User) -> Iterable[str]:
    """The texts somebody can be found by, as their privacy has it."""
    if user.privacy == "private":
        return ()
    shared = user.interests if user.privacy == "public" else []
    return (user.name, user.handle, *shared)


def _distinct(tags: Iterable[str]) -> list[str]:
    return list({words.fold(tag): tag for tag in tags}.values())


def _seconds_left(last: datetime) -> float:
    return (last + timedelta(days=handles.CHANGE_DAYS) - now()).total_seconds()
