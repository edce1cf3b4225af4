"""Deciding who may take part, and looking over accounts: for administrators."""

from common.errors import Conflict
from common.ids import Id
from documents.accounts import AdminAudit, Decision, Page, User
from realtime.features.accounts.schemas.admin import AdminUserOut
from realtime.features.accounts.service import views
from realtime.features.accounts.service.people import UserNotFound
from realtime.features.accounts.service.sessions import Sessions


class AlreadyDecided(Conflict):
    code, text = "already_decided", "This account has been decided on already."


class ApprovalService:
    """Lists accounts and decides on those that wait; each decision is made once and leaves an audit row."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def users(self, admin: Id, page: Page) -> tuple[list[AdminUserOut], int]:
        """All accounts, newest first."""
        await self._sessions.require_admin(admin)
        return await self.everybody(page)

    async def pending(self, admin: Id, page: Page) -> tuple[list[AdminUserOut], int]:
        """Accounts that wait for a decision, in the order they came."""
        await self._sessions.require_admin(admin)
        return await self.everybody(page, pending=True)

    async def decide(self, admin: Id, user_id: Id, decision: Decision) -> AdminUserOut:
        """Approve or reject who waits; raises `AlreadyDecided` for anybody else."""
        await self._sessions.require_admin(admin)
        return await self.decide_as(admin, user_id, decision)

    async def everybody(self, page: Page, *, pending: bool = False) -> tuple[list[AdminUserOut], int]:
        """The same lists for the command line."""
        users, total = await User.listed(page, pending=pending)
        return [views.admin_row(user) for user in users], total

    async def decide_as(self, actor: str, user_id: Id, decision: Decision) -> AdminUserOut:
        """The same decision for the command line."""
        outcome = await AdminAudit.decide(actor, user_id, decision)
        if outcome == "absent":
            raise UserNotFound
        if outcome == "decided":
            raise AlreadyDecided
        self._sessions.forget_person(user_id)
        user = await User.find_by("_id", user_id)
        if user is None:
            raise UserNotFound
        return views.admin_row(user)
