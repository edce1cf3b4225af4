"""Telling friends who came and who went: only the newest of each person, many people at once, in order."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import structlog

from common.clock import now
from common.errors import Overloaded, as_app_error
from common.ids import Id
from documents.presence import Kept, Presence
from realtime import channels
from realtime.fanout import Fanout
from realtime.features.presence import rules
from realtime.features.presence.schemas import UserOffline, UserOnline
from realtime.features.presence.store import PresenceStore
from realtime.policy import Policy, Verb

log = structlog.get_logger(__name__)

Shows = Mapping[Id, Collection[Verb]]
"""What people show to their friends. Who does not take part any more is not among them, and seen to go."""

BATCH = 200
MAX_WAITING = 100_000
MAX_PAUSE = 2.0
GATHER = 0.05
STOP_SECONDS = 2.0


class Why(Enum):
    """What is behind somebody's coming or going, as their friends see it."""

    MOVED = "moved"
    """They did come, or go."""
    HIDES = "hides"
    """They became invisible, and have stayed it."""
    CLOSED = "closed"
    """They do not show their presence to friends any more."""
    OPENED = "opened"
    """They show it again."""


@dataclass(frozen=True, slots=True)
class News:
    """A person came, or went, at that time, or so it looks. `shows_when`: friends may know the time."""

    user_id: Id
    is_online: bool
    at: datetime
    why: Why = Why.MOVED
    shows_when: bool = True


class Announcer:
    """Checks who may know, writes `lastSeen`, publishes. One worker, so nobody's news overtake each other."""

    def __init__(self, store: PresenceStore, policy: Policy, fanout: Fanout, grace: float) -> None:
        self._store, self._policy, self._fanout, self._grace = store, policy, fanout, grace
        self._waiting: dict[Id, tuple[News, asyncio.Future[None]]] = {}
        self._worker: asyncio.Task[None] | None = None

    def say(self, news: News) -> "asyncio.Future[None]":
        """Queue it in place of older news of that person; the future is done when it is said, or outdated."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        older, waiting = self._waiting.pop(news.user_id, (None, None))
        if waiting is not None:
            _finish(waiting)
        if older is not None and older.why is Why.CLOSED and news.why is Why.MOVED:
            news = older  # their friends have yet to hear of it; of what comes after, they do not
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
                if len(batch) > 1:  # in a crowd more of them gather
                    await asyncio.sleep(GATHER)
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
        circles = await self._policy.circles(ids)
        kept, shows = await asyncio.gather(Presence.of(ids), self._shown(ids))
        true = [news for news in batch if self._is_true(news, kept.get(news.user_id), shows)]
        here = now()  # who is there is there now, which is one time for all of them
        seen = {
            news.user_id: here if news.is_online else news.at for news in true if news.why is not Why.HIDES
        }
        await Presence.saw(seen, known=kept)
        told = [news for news in true if circles.get(news.user_id)]
        for news in told:
            before = kept[news.user_id].last_seen if news.user_id in kept else None
            last_seen = max(news.at, before or news.at) if _shows_when(news, shows) else None
            self._publish(news, circles[news.user_id], last_seen)
        await self._look_again(told)

    async def _shown(self, ids: Sequence[Id]) -> Shows:
        return await self._policy.shown_to_friends((Verb.SEE_PRESENCE, Verb.SEE_LAST_SEEN), ids)

    def _is_true(self, news: News, kept: Kept | None, shows: Shows) -> bool:
        """Hiding is news when it has lasted; who hides, or shows nothing, neither comes nor goes."""
        since = kept.hidden_since if kept is not None else None
        is_shown = _is_shown(news.user_id, shows)
        if news.why is Why.HIDES:
            return is_shown and since == news.at
        if rules.is_hidden(since, now(), self._grace):
            return False
        if news.why is Why.CLOSED:
            return not is_shown
        return is_shown or (news.user_id not in shows and not news.is_online)

    def _publish(self, news: News, audience: Collection[Id], last_seen: datetime | None) -> None:
        said = (
            UserOnline(user_id=news.user_id)
            if news.is_online
            else UserOffline(user_id=news.user_id, last_seen=last_seen)
        )
        self._fanout.publish_many([channels.user(friend) for friend in audience], said)

    async def _look_again(self, said: Sequence[News]) -> None:
        """What has changed on another node just now may have been said there before: say it last."""
        online = [news.user_id for news in said if news.is_online]
        gone = [news.user_id for news in said if not news.is_online and news.why is not Why.HIDES]
        back = await self._store.online(gone) if gone else set[Id]()
        asked = [*online, *back]
        if not asked:
            return
        shows = await self._shown(asked)
        for user in back:
            if _is_shown(user, shows):
                self.say(News(user, is_online=True, at=now()))
        for user in online:
            if not _is_shown(user, shows):
                self.say(News(user, is_online=False, at=now(), why=Why.CLOSED))


def _is_shown(user_id: Id, shows: Shows) -> bool:
    return Verb.SEE_PRESENCE in shows.get(user_id, ())


def _shows_when(news: News, shows: Shows) -> bool:
    """Whether friends may know when it was: who closes shows it for the last time."""
    if news.why is Why.CLOSED:
        return news.shows_when
    return Verb.SEE_LAST_SEEN in shows.get(news.user_id, ())


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
