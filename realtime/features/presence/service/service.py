"""Who is online, who may know it, and who would rather not be seen."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from common.clock import now
from common.ids import Id
from documents.presence import Presence
from realtime.fanout import Fanout
from realtime.features.presence import rules
from realtime.features.presence.schemas import (
    Mode,
    People,
    PresenceStateOut,
    PresenceStatesOut,
)
from realtime.features.presence.service.announcer import Announcer, News, Why
from realtime.features.presence.store import Left, PresenceStore
from realtime.policy import Policy, Verb

log = structlog.get_logger(__name__)

NOTED_AT_ONCE = 500
STOP_SECONDS = 5.0
SWEEP = 10.0


class PresenceService:
    """The connections of this node, and what they mean for everyone."""

    def __init__(
        self, store: PresenceStore, people: People, policy: Policy, fanout: Fanout, *, grace: float
    ) -> None:
        self._store, self._people, self._policy = store, people, policy
        self.grace = grace
        self._announcer = Announcer(store, policy, fanout, grace)
        self._connections: dict[Id, set[str]] = {}
        self._left_at: dict[Id, datetime] = {}
        self._hiding: dict[Id, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_overdue: Callable[[Id], None] | None = None
        """Told of those who left long ago without a decision: their actor broke, or was too busy."""

    async def start(self) -> None:
        await self._store.start(self)
        self._spawn(self._sweep())

    async def stop(self) -> None:
        """Note when everyone was last here, and leave the rest to the other nodes."""
        for timing in (*self._hiding.values(), *self._tasks):
            timing.cancel()
        await self._announcer.stop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._note(self._store.here())
        except Exception as error:
            log.warning("last_seen_not_noted", error=type(error).__name__)
        await self._store.stop()

    # -- connections, told by the gateway through `PresenceCommands`

    def connected(self, user_id: Id, connection_id: str) -> None:
        self._connections.setdefault(user_id, set()).add(connection_id)
        self._left_at.pop(user_id, None)

    def disconnected(self, user_id: Id, connection_id: str) -> bool:
        """Forget a connection; whether it was the person's last one here."""
        connections = self._connections.get(user_id, set())
        connections.discard(connection_id)
        if connections:
            return False
        if self._connections.pop(user_id, None) is not None:
            self._left_at[user_id] = now()
        return user_id in self._left_at

    def is_connected(self, user_id: Id) -> bool:
        """Whether a connection to this node is open."""
        return user_id in self._connections

    async def arrive(self, user_id: Id) -> None:
        """The first connection here: tell friends, when there is none elsewhere."""
        if await self._store.join(user_id):
            self._say(News(user_id, is_online=True, at=now()))

    async def depart(self, user_id: Id) -> bool:
        """The grace period is over: tell friends, when nobody else has them. False: ask again later."""
        if self.is_connected(user_id):
            return True
        left = await self._store.leave(user_id)
        if left is Left.LATER:
            return False
        left_at = self._left_at.pop(user_id, None) or now()
        if left is Left.LAST:
            self._say(News(user_id, is_online=False, at=left_at))
        return True

    # -- as the listener of the store

    async def gone(self, users: Mapping[Id, datetime]) -> None:
        """These were on a node that died."""
        told = [self._announcer.say(News(user, is_online=False, at=at)) for user, at in users.items()]
        await asyncio.gather(*told)

    def back(self, users: Iterable[Id]) -> None:
        """These are here, and friends may not know it."""
        for user in users:
            if self.is_connected(user):
                self._say(News(user, is_online=True, at=now()))

    # -- asking

    async def query(self, viewer: Id, user_ids: Sequence[Id]) -> PresenceStatesOut:
        """The states of those people whom the caller may see, and the caller's own mode."""
        wanted = list(dict.fromkeys(user_ids))
        shown = await self._policy.allowed(viewer, (Verb.SEE_PRESENCE, Verb.SEE_LAST_SEEN), wanted)
        asked = [user for user in wanted if Verb.SEE_PRESENCE in shown[user]]
        kept, online = await asyncio.gather(Presence.of([viewer, *asked]), self._store.online(asked))
        moment = now()
        states: list[PresenceStateOut] = []
        for user in asked:
            since = kept[user].hidden_since if user in kept else None
            is_hidden = user != viewer and rules.is_hidden(since, moment, self.grace)
            is_online = user in online and not is_hidden
            shows_when = user in kept and not is_online and Verb.SEE_LAST_SEEN in shown[user]
            last_seen = kept[user].last_seen if shows_when else None
            states.append(PresenceStateOut(user_id=user, online=is_online, last_seen=last_seen))
        hides = viewer in kept and kept[viewer].hidden_since is not None
        return PresenceStatesOut(states=states, mode="invisible" if hides else "visible")

    async def visible_online(self, viewer: Id, user_ids: Iterable[Id]) -> set[Id]:
        """Those of these people whom the caller may see to be online."""
        found = await self.query(viewer, list(user_ids))
        return {state.user_id for state in found.states if state.online}

    async def state(self, viewer: Id, user_id: Id) -> PresenceStateOut | None:
        """The state of one person, as far as the caller may know it."""
        found = await self.query(viewer, [user_id])
        return found.states[0] if found.states else None

    # -- hiding

    async def set_mode(self, user_id: Id, mode: Mode) -> None:
        """Hide, or stop hiding. To friends, hiding looks like a connection that drops now."""
        if mode == "invisible":
            await self._hide(user_id)
        else:
            await self._show(user_id)
        await self._people.set_invisible(user_id, mode == "invisible")

    async def _hide(self, user_id: Id) -> None:
        since = now()
        shown, online = await asyncio.gather(
            self._policy.shown_to_friends((Verb.SEE_PRESENCE,), [user_id]), self._store.online([user_id])
        )
        is_seen = user_id in online and bool(shown.get(user_id))
        if not await Presence.hide(user_id, since, is_seen=is_seen):
            return
        loop = asyncio.get_running_loop()
        self._hiding[user_id] = loop.call_later(self.grace, self._spawn_hidden, user_id, since)

    async def _show(self, user_id: Id) -> None:
        since = await Presence.show(user_id)
        self._stop_timer(user_id)
        if rules.is_hidden(since, now(), self.grace) and await self._store.online([user_id]):
            self._say(News(user_id, is_online=True, at=now()))

    def _stop_timer(self, user_id: Id) -> None:
        timer = self._hiding.pop(user_id, None)
        if timer is not None:
            timer.cancel()

    def _spawn_hidden(self, user_id: Id, since: datetime) -> None:
        self._hiding.pop(user_id, None)
        self._spawn(self._hidden(user_id, since))

    async def _hidden(self, user_id: Id, since: datetime) -> None:
        """Hiding takes effect."""
        if await self._store.online([user_id]):
            self._say(News(user_id, is_online=False, at=since, why=Why.HIDES))

    async def audience_changed(
        self, user_id: Id, *, was_shown: bool, is_shown: bool, knew_when: bool
    ) -> None:
        """Somebody chose whether friends see their presence: to them it looks like going, or coming, now."""
        if was_shown is is_shown or not await self._store.online([user_id]):
            return
        why = Why.OPENED if is_shown else Why.CLOSED
        self._say(News(user_id, is_online=is_shown, at=now(), why=why, shows_when=is_shown or knew_when))

    # -- telling

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            limit = now() - timedelta(seconds=self.grace + SWEEP)
            for user in [user for user, left_at in self._left_at.items() if left_at < limit]:
                if self.on_overdue is not None:
                    self.on_overdue(user)

    def _say(self, news: News) -> None:
        self._announcer.say(news)

    async def _note(self, users: Collection[Id]) -> None:
        """Keep when these people were last here: now, unless they have left already."""
        moment = now()
        seen = {user: self._left_at.get(user, moment) for user in users}
        for start in range(0, len(seen), NOTED_AT_ONCE):
            part = dict(list(seen.items())[start : start + NOTED_AT_ONCE])
            shows = await self._policy.shown_to_friends((Verb.SEE_PRESENCE,), list(part))
            await Presence.saw({user: at for user, at in part.items() if shows.get(user)})
