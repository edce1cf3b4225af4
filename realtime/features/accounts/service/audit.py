"""The audit log as others use it: written in turns, read by administrators, verified by the operator."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from common.ids import Id
from documents.accounts import AdminAudit, AuditTurn, Chain, Which
from realtime.features.accounts.schemas.admin import AuditOut, AuditQuery
from realtime.features.accounts.schemas.common import Rows, Window
from realtime.features.accounts.service.sessions import Sessions

T = TypeVar("T")


class AuditService:
    """Rows are added, in the transaction of what they tell of; nobody changes one."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def turn(self, work: Callable[[AuditTurn], Awaitable[T]]) -> T:
        """Run `work` in a transaction in which it may write rows."""
        return await AdminAudit.turn(work)

    async def page(self, admin: Id, wanted: AuditQuery, window: Window) -> Rows[AuditOut]:
        """Rows that fit, the newest first; for administrators."""
        await self._sessions.require_admin(admin)
        which = Which(wanted.actor, wanted.target, wanted.action, wanted.since, wanted.until)
        before = int(window.after[0]) if window.after else None
        found = await AdminAudit.page(which, window.limit, before, 0 if before else window.skip)
        behind = (str(found.entries[-1].seq),) if found.more else None
        return Rows([AuditOut.model_validate(row.model_dump()) for row in found.entries], found.total, behind)

    async def verify(self, known: tuple[int, str] | None = None) -> Chain:
        """Whether all rows are there as they were written; for the command line.

        `known` is a row that was there before, by its number and hash: a whole new chain would lack it.
        """
        chain = await AdminAudit.verify()
        if known is None or chain.trouble is not None or await AdminAudit.has(*known):
            return chain
        return replace(chain, trouble=f"row {known[0]} is not the one it was")
