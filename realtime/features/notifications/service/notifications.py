"""What people are told, and what they do with it."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from common.clock import now
from common.ids import Id
from documents.notifications import Board, Change, Mark, Notification, State, Window, shown
from realtime.features.notifications import rules
from realtime.features.notifications.schemas import (
    Note,
    NotificationOut,
    NotificationType,
    People,
    Person,
    Policy,
    PreferencesOut,
    Pushes,
    UnreadOut,
    Updates,
)
from realtime.features.notifications.service import telling
from realtime.features.notifications.service.preferences import Preferences
from realtime.features.notifications.store import Ledger, Transactions, changes
from realtime.policy import Verb

log = structlog.get_logger(__name__)

AT_ONCE = 16
PEOPLE_AT_ONCE = 500
SWEEP_SECONDS = 5.0
LATE = timedelta(seconds=5)
"""Who was to tell of a change, and has not by then, is not going to."""
SWEPT_AT_ONCE = 100

_Occurrence = tuple[Id, str, str, str]


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of a person's list, and where it goes on."""

    items: list[NotificationOut]
    total: int
    next: Mark | None
    unread: UnreadOut


class NotificationService:
    """Every change is stored with its version, logged in that order, and counted from what is stored."""

    def __init__(
        self, database: Transactions, people: People, policy: Policy, updates: Updates, pushes: Pushes
    ) -> None:
        self._database, self._people, self._policy = database, people, policy
        self._ledger = Ledger(database, telling.Teller(people, updates, pushes).tell)
        self.preferences = Preferences()
        self._under_way: dict[_Occurrence, asyncio.Task[None]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tell what other nodes have left untold."""
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def stop(self, seconds: float) -> None:
        """Finish what was asked for; another node tells what is left."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._ledger.stop(seconds)

    # -- telling

    async def notify(self, user_id: Id, note: Note, *, times: int | None = None) -> None:
        """Tell a person of something, unless they do not want it or policy forbids it; a retry tells nothing.

        What happens again makes one unread notification of it, that counts; `times` says how often if the
        caller knows better.
        """
        occurrence = (user_id, note.type, note.key, rules.occurrence(note.actor_id, note.data))
        under_way = self._under_way.get(occurrence)
        if under_way is None:
            under_way = asyncio.create_task(self._notify([user_id], note, times))
            self._under_way[occurrence] = under_way
            under_way.add_done_callback(partial(self._finished, occurrence))
        await asyncio.shield(under_way)

    def _finished(self, occurrence: _Occurrence, done: asyncio.Task[None]) -> None:
        del self._under_way[occurrence]
        if not done.cancelled():
            done.exception()  # those who still wait are told by it

    async def notify_many(self, user_ids: Collection[Id], note: Note) -> None:
        """Tell many the same; whoever is named twice is told once."""
        distinct = list(dict.fromkeys(user_ids))
        for start in range(0, len(distinct), PEOPLE_AT_ONCE):
            await self._notify(distinct[start : start + PEOPLE_AT_ONCE], note, None)

    async def _notify(self, user_ids: list[Id], note: Note, times: int | None) -> None:
        actor_id = note.actor_id
        allowed = set(user_ids)
        if actor_id is not None:
            allowed = await self._policy.among(actor_id, Verb.NOTIFY, user_ids)
        wanted, people = await asyncio.gather(
            self.preferences.of_many(allowed),
            self._people.many(allowed if actor_id is None else {*allowed, actor_id}),
        )
        actor = telling.card(people.get(actor_id)) if actor_id is not None else None
        room = asyncio.Semaphore(AT_ONCE)

        async def put(user_id: Id) -> None:
            async with room:
                push = _pushes(wanted[user_id], people.get(user_id), note.type)
                await self._put(changes.Telling(user_id, note, actor, push, times))

        listed = [user for user in user_ids if user in allowed and wanted[user].types[note.type].in_list]
        results = await asyncio.gather(*map(put, listed), return_exceptions=True)
        if actor_id is not None and listed:
            await self._hide_if_absent(actor_id, listed)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _hide_if_absent(self, actor_id: Id, told: Collection[Id]) -> None:
        """A block that came between the check and the write found nothing to hide."""
        allowed = await self._policy.among(actor_id, Verb.NOTIFY, told)
        for user_id in told:
            if user_id not in allowed:
                await self._ledger.change(user_id, partial(changes.send_away, user_id, {actor_id}))

    async def _put(self, told: changes.Telling) -> None:
        user_id, actor_id = told.user_id, told.note.actor_id
        change = await self._ledger.change(user_id, partial(changes.put, told))
        if change is not None and change.version % rules.TRIM_EVERY == 0:
            await self._ledger.change(user_id, partial(changes.trim, user_id, actor_id))

    async def withdraw(self, user_id: Id, type_: NotificationType, key: str) -> None:
        """Take a notification back, on all devices; nothing happens when there is none."""
        await self.withdraw_many(type_, [(user_id, key)])

    async def withdraw_many(self, type_: NotificationType, pairs: Collection[tuple[Id, str]]) -> None:
        """The same of many (person, key) pairs."""
        if pairs:
            for user_id, key in await Notification.standing(type_, pairs):
                await self._ledger.change(user_id, partial(changes.withdraw, user_id, type_, key))

    async def reconsider(self, user_id: Id, actor_id: Id) -> None:
        """What stands between two people has changed: hide what `actor_id` did, or show it again."""
        found = await Notification.actors(user_id)
        await self._reconsider(user_id, {state: ids & {actor_id} for state, ids in found.items()})

    async def _reconsider(self, user_id: Id, actors: Mapping[State, set[Id]]) -> None:
        there, away = actors["shown"], actors["away"]
        if not there and not away:
            return
        seen = await self._policy.among(user_id, Verb.SEE_PROFILE, there | away)
        if absent := there - seen:
            await self._ledger.change(user_id, partial(changes.send_away, user_id, absent))
        if back := away & seen:
            theirs = {"state": "away", "actor": {"$in": list(back)}}
            for hidden in reversed(await Notification.where(user_id, theirs)):
                await self._ledger.change(user_id, partial(changes.bring_back, user_id, hidden.id))

    # -- what people do

    async def page(self, user_id: Id, window: Window) -> Listing:
        """A person's notifications, newest first, without those whose actor is absent for them."""
        board, actors = await asyncio.gather(Board.of(user_id), Notification.actors(user_id))
        if board.pending:
            await self._ledger.settle(user_id)
        await self._reconsider(user_id, actors)
        found = await self._database.transaction(partial(shown, user_id, window))
        items = found.items[: window.limit]
        people = await self._people.many({one.actor for one in items if one.actor is not None})
        last = items[-1] if len(found.items) > window.limit else None
        return Listing(
            [telling.shown(one, people) for one in items],
            found.total,
            (last.at, last.id) if last is not None else None,
            UnreadOut(unread_count=found.unread, version=found.version),
        )

    async def read(self, user_id: Id, notification_id: Id) -> UnreadOut:
        """Have read a notification; again is fine. Raises `NotificationNotFound`."""
        change = await self._ledger.change(user_id, partial(changes.read, user_id, notification_id))
        return await self._unread(user_id, change)

    async def read_all(self, user_id: Id) -> UnreadOut:
        """Have read all there are."""
        change = await self._ledger.change(user_id, partial(changes.read_all, user_id))
        return await self._unread(user_id, change)

    async def remove(self, user_id: Id, notification_id: Id) -> UnreadOut:
        """Remove a notification; raises `NotificationNotFound`."""
        change = await self._ledger.change(user_id, partial(changes.remove, user_id, notification_id))
        return await self._unread(user_id, change)

    async def _unread(self, user_id: Id, change: Change | None) -> UnreadOut:
        if change is not None:
            return UnreadOut(unread_count=change.unread, version=change.version)
        found = await self._database.transaction(partial(shown, user_id, Window(limit=1)))
        return UnreadOut(unread_count=found.unread, version=found.version)

    # -- healing

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.tell_untold(LATE)
            except Exception as error:
                log.warning("notification_sweep_failed", error=type(error).__name__)

    async def tell_untold(self, late: timedelta) -> None:
        """Tell what somebody should have told that long ago."""
        for user_id in await Board.untold(now() - late, SWEPT_AT_ONCE):
            await self._ledger.settle(user_id)


def _pushes(wanted: PreferencesOut, person: Person | None, type_: NotificationType) -> bool:
    """Whether a note of that type is pushed to this person now."""
    return (
        person is not None
        and person.settings.notifications
        and wanted.types[type_].push
        and not rules.is_quiet(wanted.quiet_hours, now())
    )
