"""Deciding who may take part, and looking over accounts: for administrators."""

from dataclasses import replace
from datetime import datetime

import structlog

from common.errors import Conflict
from common.ids import Id
from documents.accounts import AdminAudit, Decision, User, Window
from realtime.features.accounts.schemas import handles
from realtime.features.accounts.schemas.admin import AdminUserOut
from realtime.features.accounts.schemas.common import Rows
from realtime.features.accounts.service import views
from realtime.features.accounts.service.people import UserNotFound
from realtime.features.accounts.service.sessions import Sessions

log = structlog.get_logger(__name__)


class AlreadyDecided(Conflict):
    code, text = "already_decided", "This account has been decided on already."


class ApprovalService:
    """Lists accounts and decides on those that wait; each decision is made once and leaves an audit row."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def users(self, admin: Id, window: Window) -> Rows[AdminUserOut]:
        """All accounts, newest first."""
        await self._sessions.require_admin(admin)
        return await self.everybody(window)

    async def pending(self, admin: Id, window: Window) -> Rows[AdminUserOut]:
        """Accounts that wait for a decision, in the order they came."""
        await self._sessions.require_admin(admin)
        return await self.everybody(window, pending=True)

    async def decide(self, admin: Id, user_id: Id, decision: Decision) -> AdminUserOut:
        """Approve or reject who waits; raises `AlreadyDecided` for anybody else."""
        await self._sessions.require_admin(admin)
        return await self.decide_as(admin, user_id, decision)

    async def everybody(self, window: Window, *, pending: bool = False) -> Rows[AdminUserOut]:
        """The same lists for the command line."""
        if window.after:
            window = replace(window, after=(datetime.fromisoformat(window.after[0]), window.after[1]))
        found = await User.listed(window, pending=pending)
        last = found.users[-1] if found.more else None
        behind = (last.created_at.isoformat(), last.id) if last else None
        return Rows([views.admin_row(user) for user in found.users], found.total, behind)

    async def id_of(self, username: str) -> Id:
        """Whose handle this is, whatever their standing; for the command line."""
        user = await User.find_by("handle_key", handles.key(username))
        if user is None:
            raise UserNotFound
        return user.id

    async def decide_as(self, actor: str, user_id: Id, decision: Decision) -> AdminUserOut:
        """The same decision for the command line."""
        outcome = await AdminAudit.decide(actor, user_id, decision)
        if outcome == "absent":
            raise UserNotFound
        if outcome == "decided":
            raise AlreadyDecided
        log.info("account_decided", actor=actor, user_id=user_id, decision=decision)
        self._sessions.forget_person(user_id)
        user = await User.find_by("_id", user_id)
        if user is None:
            raise UserNotFound
        return views.admin_row(user)
