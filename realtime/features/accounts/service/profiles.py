"""Profiles: what others see of somebody, and what one changes about oneself."""

import asyncio
from collections.abc import Mapping
from typing import Any

from common.errors import Conflict, Forbidden
from common.ids import Id
from documents.accounts import Shown, User
from realtime.features.accounts.schemas.users import (
    MeOut,
    Online,
    OwnProfileOut,
    PrivateProfileOut,
    ProfileIn,
    ProfileOut,
    Relations,
)
from realtime.features.accounts.service import views
from realtime.features.accounts.service.accounts import AccountExists, AccountService
from realtime.features.accounts.service.changes import changes
from realtime.features.accounts.service.pictures import Pictures
from realtime.order import Turns
from realtime.policy import PersonAbsent, Policy, Verb, View

_TRIES = 10
_PICTURES = {"avatar": "avatar", "cover_photo": "coverPhoto"}


class NotYourProfile(Forbidden):
    code, text = "not_your_profile", "You can only change your own profile."


class ProfileBusy(Conflict):
    code, text, retryable = "profile_busy", "The profile is being changed elsewhere. Please try again.", True


class ProfileService:
    """Shows and changes profiles; the policy decides what is shown."""

    def __init__(
        self,
        accounts: AccountService,
        policy: Policy,
        relations: Relations,
        online: Online,
        pictures: Pictures,
    ) -> None:
        self._accounts, self._policy, self._pictures = accounts, policy, pictures
        self._relations, self._online, self._turns = relations, online, Turns()

    async def show(self, viewer: Id, user_id: Id) -> OwnProfileOut | ProfileOut | PrivateProfileOut:
        """A profile as `viewer` may see it; whoever is blocked, either way, is absent."""
        view, user = await asyncio.gather(
            self._policy.view(viewer, user_id), self._accounts.people.get(user_id)
        )
        if user is None:
            raise PersonAbsent
        if viewer == user_id:
            return await self._own(user)
        seen = views.parts(user, lambda part: view.allows(Verb.SEE_DETAILS, user.settings.audience(part)))
        seen |= await self._seen_elsewhere(viewer, user, view)
        if view.allows(Verb.SEE_DETAILS):
            return ProfileOut(**views.whole(user, seen))
        return PrivateProfileOut(**views.card(user).model_dump(), **seen)

    async def _seen_elsewhere(self, viewer: Id, user: User, view: View) -> dict[str, Any]:
        """What friends and presence tell of somebody, as far as the viewer may see it."""
        seen: dict[str, Any] = {"friendship": await self._relations.relation(viewer, user.id)}
        if view.allows(Verb.SEE_FRIENDS):
            seen["mutual_friends"] = await self._relations.mutual_count(viewer, user.id)
        shows_online, shows_when = view.allows(Verb.SEE_PRESENCE), view.allows(Verb.SEE_LAST_SEEN)
        state = await self._online.state(viewer, user.id) if shows_online or shows_when else None
        is_there = shows_online and state is not None and state.online
        if shows_online:
            seen["is_online"] = is_there
        if shows_when:  # who hides looks like who has gone
            left = state.last_seen if state is not None else None
            seen["last_active"] = user.last_active if is_there else left
        return seen

    async def _own(self, user: User) -> OwnProfileOut:
        online = await self._online.visible_online(user.id, [user.id])
        return OwnProfileOut(**views.own_fields(user, is_online=user.id in online))

    async def me(self, user_id: Id) -> MeOut:
        """The caller."""
        user = await self._accounts.people.get(user_id)
        if user is None:
            raise PersonAbsent
        return views.me(user, is_online=user_id in await self._online.visible_online(user_id, [user_id]))

    async def change(self, viewer: Id, user_id: Id, body: ProfileIn) -> OwnProfileOut:
        """Change one's own profile; what `body` does not name stays."""
        if viewer != user_id:
            raise NotYourProfile
        pictures = {
            name: await self._pictures.kept(user_id, wire_name, getattr(body, name))
            for name, wire_name in _PICTURES.items()
            if name in body.model_fields_set
        }
        async with self._turns.of(user_id):
            before, after = await self._write(user_id, body, pictures)
        return await self._changed(before, after)

    async def _write(
        self, user_id: Id, body: ProfileIn, pictures: Mapping[str, str | None]
    ) -> tuple[User, User]:
        """A profile before and after; read again when another node has changed it meanwhile."""
        for _ in range(_TRIES):
            user = await self._accounts.people.get(user_id)
            if user is None:
                raise PersonAbsent
            changed = await User.change(user_id, user.revision, {**changes(user, body), **pictures})
            if changed == "taken":
                raise AccountExists
            if changed != "stale":
                return user, changed
        raise ProfileBusy

    async def _changed(self, before: User, after: User) -> OwnProfileOut:
        self._accounts.sessions.forget_person(after.id)
        for name, wire_name in _PICTURES.items():
            if getattr(before, name) != getattr(after, name):
                await self._pictures.settled(after.id, wire_name, getattr(after, name))
        await self._online.audience_changed(
            after.id,
            was_shown=_shows_friends(before, "presence"),
            is_shown=_shows_friends(after, "presence"),
            knew_when=_shows_friends(before, "last_seen"),
        )
        return await self._own(after)


def _shows_friends(user: User, part: Shown) -> bool:
    return user.settings.audience(part) != "private"
