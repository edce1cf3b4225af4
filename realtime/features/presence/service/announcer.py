"""Telling friends who came and who went: only the newest of each person, many people at once, in order."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from common.clock import now
from common.errors import Overloaded, as_app_error
from common.ids import Id
from documents.presence import Presence
from realtime import channels
from realtime.fanout import Fanout
from realtime.features.presence import rules
from realtime.features.presence.schemas import Friends, People, UserOffline, UserOnline
from realtime.features.presence.store import PresenceStore

log = structlog.get_logger(__name__)

BATCH = 200
MAX_WAITING = 100_000
MAX_PAUSE = 2.0
STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class News:
    """A person came, or went, at that time. `hides` when they did not go but hide."""

    user_id: Id
    is_online: bool
    at: datetime
    hides: bool = False


class Announcer:
    """Checks who may know, writes `lastSeen`, publishes. One worker, so nobody's news overtake each other."""

    def __init__(
        self, store: PresenceStore, people: People, friends: Friends, fanout: Fanout, grace: float
    ) -> None:
        self._store, self._people, self._friends, self._fanout = store, people, friends, fanout
        self._grace = grace
        self._waiting: dict[Id, tuple[News, asyncio.Future[None]]] = {}
        self._worker: asyncio.Task[None] | None = None

    def say(self, news: News) -> "asyncio.Future[None]":
        """Queue it in place of older news of that person; the future is done when it is said, or outdated."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _, outdated = self._waiting.pop(news.user_id, (None, None))
        if outdated is not None:
            _finish(outdated)
        if len(self._waiting) >= MAX_WAITING:
            _finish(done, Overloaded())
            return done
        self._waiting[news.user_id] = (news, done)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return done

    async def stop(self) -> None:
        """Say what waits, within two seconds."""
        worker = self._worker
        if worker is not None:
            await asyncio.wait([worker], timeout=STOP_SECONDS)
            worker.cancel()

    async def _work(self) -> None:
        pause = 0.05
        while self._waiting:
            batch = [self._waiting.pop(user) for user in list(self._waiting)[:BATCH]]
            try:
                await self._say_now([news for news, _ in batch])
            except Exception as error:
                if not as_app_error(error).retryable:
                    log.exception("presence_announcement_failed")
                    _finish_all(batch, error)
                    continue
                self._put_back(batch)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE)
            else:
                pause = 0.05
                _finish_all(batch)
        self._worker = None

    def _put_back(self, batch: Sequence[tuple[News, "asyncio.Future[None]"]]) -> None:
        """The database is away: keep the news that nothing newer has replaced."""
        for news, done in batch:
            if news.user_id in self._waiting:
                _finish(done)
            else:
                self._waiting[news.user_id] = (news, done)

    async def _say_now(self, batch: Sequence[News]) -> None:
        ids = [news.user_id for news in batch]
        people, kept = await asyncio.gather(self._people.privacy_of(ids), Presence.of(ids))
        true = [news for news in batch if self._is_true(news, kept.get(news.user_id))]
        here = now()  # who is there is there now, which is one time for all of them
        seen = {news.user_id: here if news.is_online else news.at for news in true if not news.hides}
        await Presence.saw(seen, known=kept)
        shown = [
            news
            for news in true
            if (privacy := people.get(news.user_id)) is not None and rules.shows_presence(privacy)
        ]
        audiences = await self._friends.audiences([news.user_id for news in shown])
        for news in shown:
            before = kept[news.user_id].last_seen if news.user_id in kept else None
            self._publish(news, audiences.get(news.user_id, ()), max(news.at, before or news.at))
        await self._look_again([news.user_id for news in shown if not news.is_online and not news.hides])

    def _is_true(self, news: News, kept: Presence | None) -> bool:
        """Hiding is news when it has lasted; who hides neither comes nor goes."""
        since = kept.hidden_since if kept is not None else None
        return since == news.at if news.hides else not rules.is_hidden(since, now(), self._grace)

    def _publish(self, news: News, audience: Collection[Id], last_seen: datetime) -> None:
        said = (
            UserOnline(user_id=news.user_id)
            if news.is_online
            else UserOffline(user_id=news.user_id, last_seen=last_seen)
        )
        self._fanout.publish_many([channels.user(friend) for friend in audience], said)

    async def _look_again(self, gone: Sequence[Id]) -> None:
        """Who came back on another node just now may have been announced there before: say it last."""
        if gone:
            for user in await self._store.online(gone):
                self.say(News(user, is_online=True, at=now()))


def _finish(done: "asyncio.Future[None]", error: Exception | None = None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
        done.exception()


def _finish_all(batch: Sequence[tuple[News, "asyncio.Future[None]"]], error: Exception | None = None) -> None:
    for _, done in batch:
        _finish(done, error)
