"""What becomes of a deletion, stage by stage. Every step can be repeated, on any node, after any crash.

Erasing is done twice: what was under way the first time is over by the second, which ends with the account
itself. Until then the name and the address belong to nobody else.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from common.clock import now
from common.settings import Personal
from documents.personal import HOLDINGS, Deletion, Person, groups_of, remove_traces
from realtime.features.personal.schemas import Accounts, Belongings, EntryErased, Groups
from realtime.features.personal.service.leases import held
from realtime.features.personal.service.news import LeavingNews

log = structlog.get_logger(__name__)

AT_ONCE = 50
"""Accounts for which the logs of all others are read through together."""


class Eraser:
    """Takes deletions from one stage to the next."""

    def __init__(
        self,
        limits: Personal,
        accounts: Accounts,
        groups: Groups,
        news: LeavingNews,
        belongings: Sequence[Belongings],
    ) -> None:
        self._accounts, self._groups, self._news, self._belongings = accounts, groups, news, belongings
        self._lease = timedelta(seconds=limits.lease)
        self._settle = timedelta(seconds=limits.deletion_settle)
        self._pause = timedelta(seconds=limits.look_every)

    async def work(self) -> bool:
        """Do something about the next deletion that waits for it; False when none does."""
        deletion = await Deletion.claim(self._lease)
        if deletion is None:
            return False
        together = [deletion]
        if deletion.stage == "settling":
            together += await self._others()
        try:
            async with held(together, self._lease):
                await self._go_on(together)
        except asyncio.CancelledError:
            await _let_go(together, timedelta(0))
            raise
        except Exception:
            await _let_go(together, self._pause)
            raise
        return True

    async def _others(self) -> list[Deletion]:
        """More of those that are to be finished."""
        others: list[Deletion] = []
        while len(others) < AT_ONCE and (other := await Deletion.claim(self._lease, "settling")) is not None:
            others.append(other)
        return others

    async def _go_on(self, together: Sequence[Deletion]) -> None:
        deletion = together[0]
        match deletion.stage:
            case "announcing":
                await self._announce(deletion)
            case "returning":
                await self._news.back(deletion)
                if not await deletion.finish():
                    await deletion.let_go()
            case "waiting" | "erasing":
                await self._erase(deletion)
            case "settling":
                await self._finish(together)

    async def _announce(self, deletion: Deletion) -> None:
        """Log out once more: who did it first may not have got to that."""
        await self._accounts.shut_out(deletion.user_id)
        await self._news.left(deletion)
        if not await deletion.advance("waiting", deletion.deletes_at):
            await deletion.let_go()

    async def _erase(self, deletion: Deletion) -> None:
        """From here on there is no way back."""
        if deletion.stage == "waiting" and not await deletion.advance("erasing", now(), keep=True):
            await deletion.let_go()
            return
        await self._news.erased(deletion)
        await self._walk(deletion, last=False)
        if await deletion.advance("settling", now() + self._settle):
            log.info("account_erased", deletion=deletion.id)

    async def _finish(self, together: Sequence[Deletion]) -> None:
        """The account itself, and what others' logs say of it."""
        for deletion in together:
            await self._walk(deletion, last=False)
        await remove_traces([_person(deletion) for deletion in together], EntryErased.event)
        for deletion in together:
            await self._walk(deletion, last=True)
            self._accounts.forget_person(deletion.user_id)
            await deletion.finish()

    async def _walk(self, deletion: Deletion, *, last: bool) -> None:
        """Everything that is keyed to a person, as the registry has it."""
        user_id = deletion.user_id
        if not last:
            for group in await groups_of(user_id):
                await self._groups.remove_member(user_id, group, user_id)
            for belongings in self._belongings:
                await belongings.erase(user_id)
        for holding in HOLDINGS:
            await holding.erase(_person(deletion), last=last)


def _person(deletion: Deletion) -> Person:
    return Person(deletion.user_id, deletion.pseudonym)


async def _let_go(deletions: Sequence[Deletion], pause: timedelta) -> None:
    """Let another node go on."""
    for deletion in deletions:
        await deletion.let_go(pause)
