"""Presence of several nodes: each has a lease, and what is left of a dead one is cleared up by the others.

Redis may be away or lose everything. A node remembers who is here, registers them again when the data were
lost, and meanwhile answers from what it knew. Nobody is called offline for a fault of Redis.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

import structlog
from redis.asyncio import Redis

from common.ids import Id, new_id
from realtime.features.presence.store import scripts
from realtime.features.presence.store.link import Down, Link, millis
from realtime.features.presence.store.port import Left, Listener
from realtime.features.presence.store.reaper import Reaper

log = structlog.get_logger(__name__)

MAX_BEAT = 1.0
BATCH = 200
MAX_KNOWN = 50_000
EXPIRY = 3600.0
"""Seconds after which what nobody renews disappears; it is renewed four times as often."""


class RedisPresence:
    """The people of this node, and a view of those on the others."""

    def __init__(self, redis: Redis, *, lease: float, grace: float, space: str = "plaza") -> None:
        self._link, self._lease, self._grace = Link(redis, space), lease, grace
        self._beat = min(lease / 3, MAX_BEAT)
        self._settling = 3 * self._beat
        self._node, self._epoch = new_id(), ""
        self._settled_at = self._renew_at = 0.0
        self._here: dict[Id, bool] = {}
        """Who is here, and whether Redis is known to know it."""
        self._unsure: set[Id] = set()
        """Those of whom Redis was told, but did not answer."""
        self._stale: set[Id] = set()
        """Those of whom Redis was told, but may have forgotten."""
        self._unfocused: set[Id] = set()
        """Those who look at none of their connections here."""
        self._busy: set[Id] = set()
        self._batch: frozenset[Id] = frozenset()
        self._batch_done = asyncio.Event()
        self._known: OrderedDict[Id, bool] = OrderedDict()
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False

    # -- the port

    async def start(self, listener: Listener) -> None:
        """Begin to beat and to clear up after others; a Redis that is down now is tried again for ever."""
        self._listener, self._is_stopping = listener, False
        reaper = Reaper(self._link, listener, 5 * self._beat)
        try:
            await self._beat_once()
        except Down:
            log.warning("presence_starts_without_redis")

        async def look() -> None:
            if self._is_settled:
                await reaper.look(self._node)

        for work in (self._beat_once, look):
            self._tasks.append(asyncio.get_running_loop().create_task(self._again(work)))

    async def stop(self) -> None:
        await self._end_tasks()
        try:
            await self._link.run(scripts.RESIGN, ["nodes", "beats"], [self._node, millis(self._grace)])
        except Down:
            log.warning("presence_stops_without_redis")

    async def _end_tasks(self) -> None:
        self._is_stopping = True  # a cancellation alone can get lost in `asyncio.wait_for` before Python 3.12
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def join(self, user_id: Id) -> bool:
        if self._here.get(user_id):
            return False
        self._here[user_id] = False
        if not self._link.is_up:
            return False  # the beat registers them, and says so, when Redis is back
        await self._begin(user_id)
        try:
            return user_id in await self._register([user_id])
        except Down:
            return False
        finally:
            self._busy.discard(user_id)

    async def leave(self, user_id: Id) -> Left:
        if user_id not in self._here:
            self._unfocused.discard(user_id)
            return Left.NOT_LAST
        await self._begin(user_id)
        keys = [f"node:{self._node}", "epoch", f"user:{user_id}"]
        args = [self._node, self._epoch, millis(self._settling), user_id]
        try:
            answer = await self._link.run(scripts.LEAVE, keys, args)
        except Down:
            return Left.LATER
        finally:
            self._busy.discard(user_id)
        if answer < 0:
            return Left.LATER
        self._here.pop(user_id, None)
        for those in (self._unsure, self._stale, self._unfocused):
            those.discard(user_id)
        return Left.LAST if answer else Left.NOT_LAST

    async def online(self, user_ids: Collection[Id]) -> set[Id]:
        """Those connected anywhere; while Redis is away or recovers, also those who were when last asked."""
        found = {user for user in user_ids if user in self._here}
        elsewhere = [user for user in user_ids if user not in found]
        answers, epoch = await self._ask(elsewhere)
        if self._is_settled and epoch == self._epoch:
            self._remember(answers)
        else:
            found.update(user for user in elsewhere if self._known.get(user))
        return found.union(user for user, is_there in answers.items() if is_there)

    def here(self) -> Collection[Id]:
        return frozenset(self._here)

    def set_focused(self, user_id: Id, focused: bool) -> None:
        """The next beat tells the others."""
        if focused == (user_id not in self._unfocused):
            return
        (self._unfocused.discard if focused else self._unfocused.add)(user_id)
        if user_id in self._here:
            self._stale.add(user_id)

    async def focused(self, user_ids: Collection[Id]) -> set[Id]:
        """While Redis is away, only of this node: a push too many is better than one too few."""
        found = {user for user in user_ids if user in self._here and user not in self._unfocused}
        elsewhere = [user for user in user_ids if user not in found]
        try:
            positions = await self._link.run(scripts.FOCUSED, ["nodes", *_user_keys(elsewhere)], [])
        except Down:
            return found
        return found | {elsewhere[int(position) - 1] for position in positions}

    # -- what is known of the others

    async def _ask(self, users: Sequence[Id]) -> tuple[Mapping[Id, bool], str]:
        try:
            return await self._link.exist(users)
        except Down:
            return {}, ""

    def _settle(self) -> None:
        """Give the other nodes time to say again who is with them."""
        self._settled_at = asyncio.get_running_loop().time() + self._settling

    @property
    def _is_settled(self) -> bool:
        return self._link.is_up and asyncio.get_running_loop().time() >= self._settled_at

    def _remember(self, answers: Mapping[Id, bool]) -> None:
        for user, is_there in answers.items():
            self._known[user] = is_there
            self._known.move_to_end(user)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    # -- the beat

    async def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self._is_stopping:
            await asyncio.sleep(self._beat)
            try:
                await work()
            except Down:
                continue
            except Exception:
                log.exception("presence_upkeep_failed")

    async def _beat_once(self) -> None:
        """Renew the lease, and find out what Redis remembers of this node."""
        state = await self._renew_lease()
        time = asyncio.get_running_loop().time()
        if not self._link.is_up:
            self._link.is_up = True
            self._settle()
            self._renew_at = min(self._renew_at, time + random.uniform(0, self._lease))  # noqa: S311  (jitter)
        if state == b"reaped":
            log.warning("presence_was_cleared_up", people=len(self._here))
            self._node, self._epoch = new_id(), ""
            self._here = dict.fromkeys(self._here, False)
            await self._renew_lease()
        elif state == b"lost" or time >= self._renew_at:
            self._renew_at = time + EXPIRY / 4
            self._stale.update(user for user, is_told in self._here.items() if is_told)
            if state == b"lost":
                self._settle()
        await self._register_all()

    async def _renew_lease(self) -> bytes:
        keys = ["nodes", "beats", "epoch", f"reaper:{self._node}", f"node:{self._node}"]
        args = [self._node, millis(self._lease), self._epoch, new_id(), millis(EXPIRY)]
        state, epoch = await self._link.try_run(scripts.BEAT, keys, args)
        self._epoch = epoch.decode()
        return state

    # -- registering

    async def _begin(self, user_id: Id) -> None:
        """Wait until no batch is at work on this person, and keep the next ones away."""
        while user_id in self._batch:
            await self._batch_done.wait()
        self._busy.add(user_id)

    async def _register_all(self) -> None:
        """Register those who came while Redis was away, and again those whom it may have forgotten."""
        await self._register_each([user for user, is_told in self._here.items() if not is_told], tell=True)
        await self._register_each(list(self._stale), tell=False)

    async def _register_each(self, users: Sequence[Id], *, tell: bool) -> None:
        for start in range(0, len(users), BATCH):
            part = [user for user in users[start : start + BATCH] if user in self._here]
            part = [user for user in part if user not in self._busy]
            unsure = self._unsure.intersection(part)
            first = await self._register_batch(part)
            if tell and self._listener is not None:
                self._listener.back(first | {user for user in unsure if self._here.get(user)})

    async def _register_batch(self, users: Sequence[Id]) -> set[Id]:
        if not users:
            return set()
        self._batch = frozenset(users)
        self._batch_done.clear()
        try:
            return await self._register(users)
        finally:
            self._batch = frozenset()
            self._batch_done.set()

    async def _register(self, users: Sequence[Id]) -> set[Id]:
        """Say that these are here; those of them who were nowhere else. Safe to repeat."""
        said_by = self._node, self._epoch
        keys = ["nodes", f"reaper:{self._node}", f"node:{self._node}", *_user_keys(users)]
        self._unsure.update(users)
        looks = {user: int(user not in self._unfocused) for user in users}
        args = [self._node, millis(EXPIRY), *users, *looks.values()]
        first = await self._link.run(scripts.JOIN, keys, args)
        if first is None or said_by != (self._node, self._epoch):
            return set()  # this node counts as dead, or the data were lost: the beat tries again
        self._unsure.difference_update(users)
        self._stale.difference_update(users)
        self._stale.update(user for user in users if looks[user] != int(user not in self._unfocused))
        self._here.update(dict.fromkeys(users, True))
        return {users[int(position) - 1] for position in first}


def _user_keys(users: Iterable[Id]) -> list[str]:
    return [f"user:{user}" for user in users]
