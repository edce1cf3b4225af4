"""Points for what people do; the table is in `rules.points`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import structlog

from common.clock import now
from common.errors import as_app_error
from common.ids import Id
from documents.accounts import Activity, Tally, User
from realtime.features.accounts.rules import points
from realtime.features.accounts.rules.points import AWARDS, Kind
from realtime.features.accounts.store import Seldom
from realtime.order import Turns
from realtime.policy import PersonAbsent

log = structlog.get_logger(__name__)

AT_ONCE = 4
MAX_WAITING = 20_000
MAX_PAUSE = 2.0
PART = 500
STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Recount:
    """Somebody's score and streak, as they stood and as the ledger has them now."""

    handle: str
    before: Tally
    after: Tally

    @property
    def differs(self) -> bool:
        return self.before != self.after

    def __str__(self) -> str:
        return f"{self.handle}: {_said(self.before)} -> {_said(self.after)}"


class ActivityService:
    """Writes the ledger. Other features say what happened; `cause` names it, so that it counts once."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._messages = Seldom(points.MESSAGES_COUNT_EVERY)
        self._waiting: dict[tuple[Id, str], Activity] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Write what waits, within two seconds."""
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=STOP_SECONDS)
            for worker in late:
                worker.cancel()

    # -- what happened

    async def record(self, user_id: Id, kind: Kind, cause: str, at: datetime | None = None) -> bool:
        """Note that somebody did something, at that time; whether it earned points by now.

        What people do does not fail because it cannot be noted: then that is tried again, in a while.
        """
        entry = _entry(user_id, kind, cause, at or now())
        try:
            return await self._write(entry)
        except Exception as error:
            if not as_app_error(error).retryable:
                raise
            self._put(entry)
            return False

    def note(self, user_id: Id, kind: Kind, cause: str) -> None:
        """The same in a moment, for who cannot wait; should the process die before, it earns nothing."""
        self._put(_entry(user_id, kind, cause, now()))

    def _put(self, entry: Activity) -> None:
        if len(self._waiting) >= MAX_WAITING:
            log.warning("activity_not_recorded", kind=entry.kind)
            return
        self._waiting[entry.user_id, entry.cause] = entry
        if len(self._workers) < AT_ONCE:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def sent(self, user_id: Id, message_id: Id) -> None:
        """Somebody has sent a message: one in a while counts, and none of the others costs anything."""
        if self._messages.is_due(user_id):
            self.note(user_id, "message", message_id)

    async def _work(self) -> None:
        pause = 0.05
        while self._waiting:
            key, entry = next(iter(self._waiting.items()))
            del self._waiting[key]
            try:
                await self._write(entry)
                pause = 0.05
            except Exception as error:
                if not as_app_error(error).retryable:
                    log.exception("activity_not_recorded", kind=entry.kind)
                    continue
                self._waiting.setdefault(key, entry)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE)

    async def _write(self, entry: Activity) -> bool:
        """One entry of a person after the other: they would only be in each other's way."""
        if await entry.is_known():
            return False
        async with self._turns.of(entry.user_id):
            outcome = await entry.add(AWARDS[cast("Kind", entry.kind)].a_day)
        if entry.kind == "message" and outcome == "full":
            self._messages.rest(entry.user_id, points.seconds_left(now()))
        return outcome == "added"

    # -- what it adds up to

    async def recount(self, only: Id | None = None) -> AsyncIterator[Recount]:
        """Make somebody's score and streak what the ledger says, or everybody's, one after the other."""
        if only is not None:
            yield await self._recount(only)
            return
        last = ""
        while part := await User.ids_after(last, PART):
            for user_id in part:
                with suppress(PersonAbsent):  # they left meanwhile
                    yield await self._recount(user_id)
            last = part[-1]

    async def _recount(self, user_id: Id) -> Recount:
        user, found = await User.find_by("_id", user_id), await Activity.recount(user_id)
        if user is None or found is None:
            raise PersonAbsent
        return Recount(user.handle, *found)


def _entry(user_id: Id, kind: Kind, cause: str, at: datetime) -> Activity:
    day = points.day(at)
    return Activity(
        user_id=user_id,
        kind=kind,
        cause=f"{kind}:{day if kind == 'visit' else cause}",
        day=day,
        points=AWARDS[kind].points,
        at=at,
    )


def _said(tally: Tally) -> str:
    return f"{tally.score} points, streak {tally.streak} (last day {tally.streak_day or '-'})"
