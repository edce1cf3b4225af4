"""Asking for an account to be deleted, and taking that back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from common.clock import now
from common.errors import Conflict
from common.ids import Id
from common.settings import Personal
from common.tokens import InvalidToken, RestoreTokens
from documents.personal import Deletion
from realtime.features.accounts.service.administration import LastAdmin
from realtime.features.personal.schemas import Accounts, DeletionIn, DeletionOut, RestoreIn
from realtime.policy import PersonAbsent

log = structlog.get_logger(__name__)


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class NotRestorable(Conflict):
    code, text = "not_restorable", "There is no deletion of this account that could be taken back."


class DeletionService:
    """Lets people go. They are absent for everybody at once, and erased when the grace period is over."""

    def __init__(self, limits: Personal, accounts: Accounts, restores: RestoreTokens) -> None:
        self._limits, self._accounts, self._restores = limits, accounts, restores
        self.on_change: Callable[[], None] | None = None
        """Told that there is something to do about a deletion."""

    async def delete_own(self, user_id: Id, body: DeletionIn, address: str) -> DeletionOut:
        """Leave, knowing one's password. Asking again changes nothing."""
        await self._accounts.require_password(user_id, body.password, address)
        return await self.request_deletion(user_id, by=user_id, at_once=False)

    async def request_deletion(self, user_id: Id, *, by: str, at_once: bool) -> DeletionOut:
        """End somebody's account: `by` themselves, an administrator, or `cli`, which leaves an audit row.

        What they did not ask for themselves they cannot take back themselves. `at_once` there is no grace
        period. Raises `PersonAbsent`, or `LastAdmin` when nobody would be left to administer.
        """
        grace = timedelta(milliseconds=0 if at_once else int(self._limits.deletion_grace * 1000))
        asked_at = now()
        wanted = Deletion(user_id=user_id, by=by, asked_at=asked_at, deletes_at=asked_at + grace)
        stands = await Deletion.ask(wanted)
        if stands == "absent":
            raise PersonAbsent
        if stands == "last_admin":
            raise LastAdmin
        await self._accounts.shut_out(user_id)
        self._changed()
        log.info("deletion_requested", user_id=user_id, by=by, deletes_at=stands.deletes_at.isoformat())
        return DeletionOut(deletes_at=stands.deletes_at)

    async def take_back(self, body: RestoreIn) -> None:
        """Stay after all, with the token that logging in has given; doing it again is refused."""
        wanted = self._restores.read(body.token)
        due = _BEGINNING + timedelta(milliseconds=wanted.due_ms)
        if not await Deletion.take_back(wanted.user_id, by=wanted.user_id, deletes_at=due):
            raise InvalidToken
        self._stays(wanted.user_id)

    async def restore(self, user_id: Id, *, by: str) -> None:
        """Let somebody stay, as an administrator or `cli`; raises `NotRestorable` once erasing has begun."""
        if not await Deletion.take_back(user_id, by=by):
            raise NotRestorable
        self._stays(user_id)

    def _stays(self, user_id: Id) -> None:
        self._accounts.forget_person(user_id)
        self._changed()
        log.info("deletion_taken_back", user_id=user_id)

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
