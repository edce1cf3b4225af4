"""Telling two people what has become of them: at last what is, whatever raced, and whoever died meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import structlog

from common.clock import now
from common.errors import as_app_error
from common.ids import Id
from documents.friends import Friendship, Untold
from realtime.features.friends.schemas import Earnings
from realtime.features.friends.service.news import FriendNews
from realtime.order import Turns

log = structlog.get_logger(__name__)

LATE = timedelta(seconds=5)
"""Who was to tell of something, and has not by then, is not going to."""
SWEEP = 5.0
AT_ONCE = 100
PATIENCE = 5.0
"""So long a command waits until its news have been told; then they are told while it is answered."""
MAX_UNDER_WAY = 2000
STOP_SECONDS = 2.0
_TRIES = 5


class Teller:
    """Each change is stored with a note that it is untold. Who makes it tells it; a sweep tells the rest."""

    def __init__(self, news: FriendNews, earnings: Earnings) -> None:
        self._news, self._earnings = news, earnings
        self._turns, self._present = Turns(), Counter[Id]()
        self._under_way: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look for what nobody has told."""
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def stop(self) -> None:
        """Finish what is under way, within two seconds; another node tells what is left."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper], timeout=STOP_SECONDS)
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=STOP_SECONDS)
            for telling in late:
                telling.cancel()

    async def tell(self, one: Id, other: Id) -> None:
        """Say it, and wait for that a little. What is not said has happened all the same: a sweep says it.

        Somebody whom many people tell something at once makes none of them wait for all the others.
        """
        if len(self._under_way) >= MAX_UNDER_WAY:
            return
        telling = asyncio.get_running_loop().create_task(self._say(one, other))
        self._under_way.add(telling)
        telling.add_done_callback(self._ended)
        await asyncio.wait([telling], timeout=PATIENCE)
        if telling.done() and not telling.cancelled():
            telling.result()

    def _ended(self, telling: "asyncio.Task[None]") -> None:
        self._under_way.discard(telling)
        if not telling.cancelled() and (error := telling.exception()) is not None:
            log.warning("friend_news_not_told", error=type(error).__name__)

    async def _say(self, one: Id, other: Id) -> None:
        """In its turn; should it fail, it is said in a while."""
        edge_id = Friendship.id_of(one, other)
        self._present[edge_id] += 1
        try:
            async with self._turns.of(edge_id):
                await self._tell(edge_id, sorted((one, other)))
        except Exception as error:
            if not as_app_error(error).retryable:
                raise
            log.warning("friend_news_wait", error=type(error).__name__)
        finally:
            self._present[edge_id] -= 1
            if not self._present[edge_id]:
                del self._present[edge_id]

    async def _tell(self, edge_id: Id, pair: Sequence[Id]) -> None:
        """Say what is. Should it have changed by then, ours may stand behind newer news: say it once more."""
        one, other = pair
        for attempt in range(_TRIES):
            untold = await Untold.of(edge_id)
            if untold is None and attempt == 0:
                return
            edge = await Friendship.between(one, other)
            await self._news.say(pair, edge, untold.change if untold is not None and not attempt else None)
            if edge is not None and edge.state == "accepted":
                for user in pair:
                    self._earnings.note(user, "friend", edge_id)
            if await Friendship.between(one, other) == edge:
                if untold is not None:
                    await untold.told()
                return
            if self._present[edge_id] > 1 and await Untold.of(edge_id) is not None:
                return  # whoever comes next on this node says it

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.tell_late()
            except Exception as error:
                log.warning("friend_news_not_swept", error=type(error).__name__)

    async def tell_late(self) -> None:
        """Tell what somebody failed to tell; what cannot be told keeps nothing else from it."""
        for untold in await Untold.late(now() - LATE, AT_ONCE):
            if untold.id in self._present or not await untold.claim():
                continue
            log.info("friend_news_swept", pair=untold.pair)
            try:
                await self.tell(*untold.pair)
            except Exception:
                log.exception("friend_news_cannot_be_told", pair=untold.pair)
