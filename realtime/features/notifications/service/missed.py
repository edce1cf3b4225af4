"""Messages that nobody was there to hear: told to those members who are not connected anywhere.

Sending a message only notes its conversation here. A worker looks a moment later who has not read it and is
not there. Who seems to be there is looked for again when a dead connection would have been noticed.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Protocol

import structlog

from common.clock import now
from common.ids import Id
from documents.notifications import Notification
from realtime.batches import Batch
from realtime.features.notifications.schemas import Note, Online, People, Reader, Readers
from realtime.features.notifications.service.notifications import NotificationService

log = structlog.get_logger(__name__)

SOON = 0.3
AGAIN = 10.0
"""Seconds between two looks at one conversation: what comes meanwhile is counted by the second one."""
TICK = 0.25
SLACK = 1.0
MAX_PAUSE = 5.0
MAX_WAITING = 20_000
LOOKED_AT_ONCE = 200
TOLD_AT_ONCE = 4
MOST_MEMBERS = 50
"""Of a larger group nobody is told message by message."""
LOOK_BACK = timedelta(minutes=10)
LOOKED_BACK_AT = 2000


class Said(Protocol):
    """A stored message."""

    @property
    def conversation_id(self) -> Id: ...
    @property
    def from_(self) -> Id: ...
    @property
    def to(self) -> Id | None: ...


@dataclass(slots=True)
class _Waiting:
    """A conversation to be looked at: when, when it was last spoken in, and who spoke since the last look."""

    due: float
    last: float
    senders: set[Id] = field(default_factory=set[Id])


class MissedMessages:
    """Which conversations are to be looked at. Known by this node alone; after a crash it looks back."""

    def __init__(
        self,
        notifications: NotificationService,
        readers: Readers,
        people: People,
        online: Online,
        is_here: Callable[[Id], bool],
    ) -> None:
        self._notifications, self._readers, self._people = notifications, readers, people
        self._online, self._is_here = online, is_here
        self._watch = 60.0
        self._waiting: dict[Id, _Waiting] = {}
        self._order: list[tuple[float, Id]] = []
        self._answers: set[tuple[Id, Id]] = set()
        self._looked: OrderedDict[Id, float] = OrderedDict()
        self._standing = Batch(_standing)
        self._wanted = asyncio.Event()
        self._overflowed = True
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, watch: float) -> None:
        """Begin; `watch` is how many seconds it may take to notice that a connection is dead."""
        self._watch = watch + SLACK
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._work()), loop.create_task(self._look_back())]

    async def stop(self, seconds: float) -> None:
        """Look at what is due or nearly so, as far as there is time; the next node to start looks back."""
        for task in self._tasks:
            task.cancel()
        try:
            async with asyncio.timeout(seconds):
                while batch := self._take(monotonic() + AGAIN):
                    await self._look(batch, watches=False)
        except Exception as error:
            log.warning("missed_messages_not_told", error=type(error).__name__)

    # -- noting

    def heard(self, messages: Iterable[Said]) -> None:
        """These were stored just now. Called for every message there is: no wait, no question."""
        moment = monotonic()
        for message in messages:
            known = self._waiting.get(message.conversation_id)
            to = message.to
            if to is not None and self._is_here(to):
                due = moment + self._watch
            else:
                due = max(moment + SOON, self._looked.get(message.conversation_id, 0.0) + AGAIN)
            if known is None and (known := self._add(message.conversation_id, due, moment)) is None:
                continue
            known.last = moment
            if message.from_ not in known.senders and len(self._answers) < MAX_WAITING:
                known.senders.add(message.from_)
                self._answers.add((message.from_, message.conversation_id))
            if due < known.due:
                known.due = due
                heapq.heappush(self._order, (due, message.conversation_id))

    def _add(self, conversation_id: Id, due: float, last: float) -> _Waiting | None:
        if len(self._waiting) >= MAX_WAITING:
            self._overflowed = True
            return None
        added = self._waiting[conversation_id] = _Waiting(due, last)
        heapq.heappush(self._order, (due, conversation_id))
        self._wanted.set()
        return added

    def _take(self, moment: float) -> dict[Id, _Waiting]:
        """The conversations that are due."""
        taken: dict[Id, _Waiting] = {}
        while self._order and self._order[0][0] <= moment and len(taken) < LOOKED_AT_ONCE:
            due, conversation_id = heapq.heappop(self._order)
            waiting = self._waiting.get(conversation_id)
            if waiting is not None and waiting.due == due:
                taken[conversation_id] = self._waiting.pop(conversation_id)
        return taken

    # -- looking

    async def _work(self) -> None:
        pause = TICK
        while True:
            await self._wanted.wait()
            began = monotonic()
            batch = self._take(began)
            try:
                await self._take_back_answered()
                if batch:
                    await self._look(batch)
                pause = TICK
            except Exception as error:
                log.warning("missed_messages_failed", error=type(error).__name__, conversations=len(batch))
                pause = min(pause * 2, MAX_PAUSE)
                self._put_back(batch, monotonic() + pause)
            if not self._order and not self._answers:
                self._wanted.clear()
            # It rests for as long as it has worked: sending comes first.
            await asyncio.sleep(max(monotonic() - began, 0.0 if len(batch) == LOOKED_AT_ONCE else pause))

    def _put_back(self, batch: dict[Id, _Waiting], due: float) -> None:
        for conversation_id, item in batch.items():
            if conversation_id not in self._waiting:
                self._add(conversation_id, due, item.last)

    async def _take_back_answered(self) -> None:
        """Who has answered has read."""
        while self._answers:
            some = list(self._answers)[:LOOKED_AT_ONCE]
            self._answers.difference_update(some)
            try:
                await self._notifications.withdraw_many("new_message", some)
            except Exception:
                self._answers.update(some)
                raise

    async def _look(self, batch: dict[Id, _Waiting], *, watches: bool = True) -> None:
        self._note_looks(batch)
        behind = await self._readers.behind(batch.keys(), MOST_MEMBERS)
        there = await self._online.online({one.user_id for one in behind})
        missed = [one for one in behind if one.user_id not in there]
        if missed:
            await self._tell(missed)
        if watches:
            self._watch_on(batch, {one.conversation_id for one in behind if one.user_id in there})

    def _note_looks(self, batch: Iterable[Id]) -> None:
        moment = monotonic()
        for conversation_id in batch:
            self._looked[conversation_id] = moment
            self._looked.move_to_end(conversation_id)
        while len(self._looked) > MAX_WAITING:
            self._looked.popitem(last=False)

    def _watch_on(self, batch: dict[Id, _Waiting], seem_heard: Collection[Id]) -> None:
        """Whose connection has died is only known after a while: look again then."""
        moment = monotonic()
        for conversation_id in seem_heard:
            item = batch[conversation_id]
            due = item.last + self._watch
            if due > moment and conversation_id not in self._waiting:
                self._add(conversation_id, due, item.last)

    async def _tell(self, missed: Sequence[Reader]) -> None:
        senders = await self._people.many({one.sender_id for one in missed})
        room = asyncio.Semaphore(TOLD_AT_ONCE)

        async def tell(reader: Reader) -> None:
            async with room:
                sender = senders.get(reader.sender_id)
                if sender is not None:
                    note = _note(reader, sender.name)
                    await self._notifications.notify(reader.user_id, note, times=reader.unread)

        await asyncio.gather(*map(tell, missed))
        await self._withdraw_read(missed)

    async def _withdraw_read(self, told: Sequence[Reader]) -> None:
        """Who has read it while we told them found nothing to take back."""
        pairs = {(one.user_id, one.conversation_id) for one in told}
        behind = await self._readers.behind({key for _, key in pairs}, MOST_MEMBERS)
        read = pairs - {(one.user_id, one.conversation_id) for one in behind}
        await self._notifications.withdraw_many("new_message", read)

    async def read(self, user_id: Id, conversation_id: Id) -> None:
        """The person has read the conversation to its end, or has left it."""
        if await self._standing.get((user_id, conversation_id)):
            await self._notifications.withdraw(user_id, "new_message", conversation_id)

    # -- healing

    async def _look_back(self) -> None:
        """After a start, and after there was no room, look at the conversations of the last minutes."""
        while True:
            await asyncio.sleep(self._watch)
            if not self._overflowed or len(self._waiting) > MAX_WAITING // 2:
                continue
            try:
                active = await self._readers.active_since(now() - LOOK_BACK, LOOKED_BACK_AT)
            except Exception as error:
                log.warning("missed_messages_not_looked_for", error=type(error).__name__)
                continue
            self._overflowed = False
            for conversation_id in active:
                if conversation_id not in self._waiting:
                    self._add(conversation_id, monotonic(), monotonic() - self._watch)


async def _standing(pairs: Collection[tuple[Id, Id]]) -> dict[tuple[Id, Id], bool]:
    return dict.fromkeys(await Notification.standing("new_message", pairs), True)


def _note(reader: Reader, name: str) -> Note:
    many = reader.unread > 1
    if reader.group_name is not None:
        text = f"{reader.unread} new messages in {reader.group_name}." if many else ""
        text = text or f"{name} wrote in {reader.group_name}."
    else:
        text = f"{name} sent you {reader.unread} messages." if many else f"{name} sent you a message."
    return Note(
        type="new_message",
        key=reader.conversation_id,
        text=text,
        actor_id=reader.sender_id,
        data={"conversationId": reader.conversation_id, "seq": reader.seq},
    )
