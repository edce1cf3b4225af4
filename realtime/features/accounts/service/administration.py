"""What administrators do with accounts: look them over, decide on those that wait, change and delete them."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from common.errors import Conflict
from common.ids import Id, is_id
from documents.accounts import Decision, User, Window
from documents.accounts.administration import alter, decide, listing
from realtime import channels
from realtime.fanout import Delivery, Fanout
from realtime.features.accounts.schemas import handles
from realtime.features.accounts.schemas.admin import AdminUserIn, AdminUserOut, UsersQuery
from realtime.features.accounts.schemas.common import Rows
from realtime.features.accounts.service import views
from realtime.features.accounts.service.sessions import Sessions
from realtime.policy import PersonAbsent

log = structlog.get_logger(__name__)

EVERYBODY = UsersQuery()
WAITING = UsersQuery(standing="pending")


class AlreadyDecided(Conflict):
    code, text = "already_decided", "This account has been decided on already."


class LastAdmin(Conflict):
    code, text = "last_admin", "Nobody else could administer. Let another administrator in first."


class Restricted(Conflict):
    code, text = "restricted", "Something was taken from this person for a while. Reverse that first."


class Farewells(Protocol):
    """How accounts end."""

    async def request_deletion(self, user_id: Id, *, by: str, at_once: bool) -> object:
        """End somebody's account, with an audit row; raises when nobody would be left to administer."""
        ...


class AdministrationService:
    """Each decision and each change leaves an audit row; whoever races, somebody stays who administers."""

    def __init__(self, sessions: Sessions, fanout: Fanout) -> None:
        self._sessions, self._fanout = sessions, fanout
        self.farewells: Farewells | None = None

    # -- looking

    async def users(self, admin: Id, wanted: UsersQuery, window: Window) -> Rows[AdminUserOut]:
        """Accounts that fit, newest first; those that wait for a decision in the order they came."""
        await self._sessions.require_admin(admin)
        return await self.listed(wanted, window)

    async def listed(self, wanted: UsersQuery, window: Window) -> Rows[AdminUserOut]:
        """The same lists for the command line."""
        if window.after:
            window = replace(window, after=(datetime.fromisoformat(window.after[0]), window.after[1]))
        begins = (handles.key(wanted.q.strip()), handles.email_key(wanted.q)) if wanted.q else (None, None)
        where = listing(wanted.standing, *begins)
        found = await User.listed(where, window, oldest_first=wanted.standing == "pending")
        last = found.users[-1] if found.more else None
        behind = (last.created_at.isoformat(), last.id) if last else None
        return Rows([views.admin_row(user) for user in found.users], found.total, behind)

    async def show(self, admin: Id, user_id: Id) -> AdminUserOut:
        """One account."""
        await self._sessions.require_admin(admin)
        return await self._shown(user_id)

    async def id_of(self, who: str) -> Id:
        """Whose handle this is, whatever their standing; ids are as good. For the command line."""
        if is_id(who):
            return who
        user = await User.find_by("handle_key", handles.key(who))
        if user is None:
            raise PersonAbsent
        return user.id

    async def _shown(self, user_id: Id) -> AdminUserOut:
        user = await User.find_by("_id", user_id)
        if user is None:
            raise PersonAbsent
        return views.admin_row(user)

    # -- deciding

    async def decide(self, admin: Id, user_id: Id, decision: Decision) -> AdminUserOut:
        """Approve or reject who waits; raises `AlreadyDecided` for anybody else."""
        await self._sessions.require_admin(admin)
        return await self.decide_as(admin, user_id, decision)

    async def decide_as(self, actor: str, user_id: Id, decision: Decision) -> AdminUserOut:
        """The same decision for the command line."""
        outcome = await decide(actor, user_id, decision)
        if outcome == "absent":
            raise PersonAbsent
        if outcome == "decided":
            raise AlreadyDecided
        log.info("account_decided", actor=actor, user_id=user_id, decision=decision)
        self._sessions.forget_person(user_id)
        return await self._shown(user_id)

    # -- changing

    async def change(self, admin: Id, user_id: Id, body: AdminUserIn) -> AdminUserOut:
        """Set what is named; what is so already leaves no audit row."""
        await self._sessions.require_admin(admin)
        found = await alter(admin, user_id, _changes(body))
        if found == "absent":
            raise PersonAbsent
        if found == "last_admin":
            raise LastAdmin
        if found == "restricted":
            raise Restricted
        log.info("account_changed", actor=admin, user_id=user_id, fields=sorted(body.model_fields_set))
        self._sessions.forget_person(user_id)
        if found.standing != "active":
            await self._sessions.end_all(user_id, "suspended")
        self._let_hear(found)
        return views.admin_row(found)

    def _let_hear(self, user: User) -> None:
        """Who looks after reports hears of them from now on; who does not any more, no longer."""
        own = (channels.user(user.id),)
        if user.standing == "active" and (user.is_admin or user.is_moderator):
            self._fanout.deliver(Delivery(own, join=(channels.MODERATORS, 0)))
        else:
            self._fanout.deliver(Delivery(own, leave=channels.MODERATORS))

    async def delete(self, admin: Id, user_id: Id) -> AdminUserOut:
        """End an account: it is absent at once, and erased after the grace period."""
        await self._sessions.require_admin(admin)
        if self.farewells is None:
            raise PersonAbsent
        await self.farewells.request_deletion(user_id, by=admin, at_once=False)
        return await self._shown(user_id)


def _changes(body: AdminUserIn) -> dict[str, Any]:
    """The stored fields that follow; approving takes a rejection back."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if body.is_approved:
        changes["rejected"] = False
    return changes
