"""Appending to people's logs, and reading them again."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import structlog

from common.clock import now
from common.errors import AppError
from common.ids import Id
from documents.updates import Update
from realtime.batches import Batch
from realtime.channels import Publication
from realtime.fanout import Delivery, Fanout
from realtime.features.updates import store
from realtime.features.updates.rules import fitting
from realtime.features.updates.schemas import UpdateOut, UpdatesPage
from realtime.streams import Draft, KeyKnown, StreamWriter

log = structlog.get_logger(__name__)

TRIM_EVERY = 256
AT_ONCE = 1000
MAX_BYTES = 131_072
MARGIN = timedelta(seconds=30)
"""How far clocks of nodes may differ, and a commit may take, without an entry being overlooked."""


class UpdateService:
    """One log for each person; `append` is the only way in."""

    def __init__(self, fanout: Fanout, *, keep: int, batch: int, page: int, gap: int) -> None:
        self._fanout, self._keep, self._page, self._gap = fanout, keep, page, gap
        self._heads = Batch(Update.heads_of)
        self._swept = now()
        self._trims: dict[Id, int] = {}
        self._trimmer: asyncio.Task[None] | None = None
        self._writer = StreamWriter(store.UpdateLog(fanout), self._stored, batch=batch, workers=1)

    async def append(
        self,
        user_ids: Iterable[Id],
        publication: Publication,
        *,
        key: str | None = None,
        join: tuple[str, int] | None = None,
        leave: str | None = None,
    ) -> None:
        """Log a publication for each person, once per `key`, and say it to their connections.

        `join` (channel, head) and `leave` make those connections listen to a channel, or stop.
        """
        if not publication.logged:
            raise TypeError(f"{publication.event} is not a logged publication")
        data = publication.model_dump(by_alias=True, mode="json")
        change = store.change_of(publication.event, data, key)
        change.join, change.leave = join, leave
        drafts = [Draft(user, change, key and store.key_of(user, key)) for user in dict.fromkeys(user_ids)]
        for start in range(0, len(drafts), AT_ONCE):
            waits = [self._writer.append(draft) for draft in drafts[start : start + AT_ONCE]]
            for result in await asyncio.gather(*waits, return_exceptions=True):
                if isinstance(result, BaseException) and not isinstance(result, KeyKnown):
                    raise result

    async def _stored(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            self._fanout.deliver(store.delivery(draft.stream, draft.position, draft.entry))
            if draft.position % TRIM_EVERY == 0 and draft.position > self._keep:
                self._trims[draft.stream] = draft.position - self._keep
        if self._trims and self._trimmer is None:
            self._trimmer = asyncio.get_running_loop().create_task(self._trim())

    async def _trim(self) -> None:
        """Forget old entries, beside everything else; what cannot be trimmed now is at the next round."""
        trims, self._trims = self._trims, {}
        try:
            for user_id, up_to in trims.items():
                await Update.trim(user_id, up_to)
        except Exception as trouble:
            log.warning("trim_failed", error=type(trouble).__name__)
        finally:
            self._trimmer = None

    async def head(self, user_id: Id) -> int:
        """The last position of a person's log."""
        return await self._heads.get(user_id) or 0

    async def heads_of(self, user_ids: Sequence[Id]) -> dict[Id, int]:
        """The same of many people, as far as their logs have entries."""
        return await Update.heads_of(user_ids)

    async def after(self, user_id: Id, pos: int) -> UpdatesPage:
        """What a person's log holds behind `pos`: a page in order, or word that it is too much or too old."""
        head = await Update.head(user_id)
        if pos > head or head - pos > self._gap:
            return UpdatesPage(pos=head, truncated=True)
        entries = await Update.after(user_id, pos, self._page)
        if entries and entries[0].pos != pos + 1:
            return UpdatesPage(pos=head, truncated=True)
        items = fitting([UpdateOut(pos=e.pos, event=e.event, data=e.data) for e in entries], MAX_BYTES)
        last = items[-1].pos if items else pos
        return UpdatesPage(pos=last, entries=items, more=last < head)

    # -- as a source of streams for fan-out

    async def entries_after(self, key: str, position: int, limit: int) -> Sequence[Delivery]:
        return [store.delivery(key, e.pos, e) for e in await Update.after(key, position, limit)]

    def observe(self, key: str, position: int) -> None:
        self._writer.observe(key, position)

    async def heads(self, keys: Sequence[str]) -> Mapping[str, int]:
        """The heads of those logs that have grown since the last time this was asked."""
        started = now()
        recent = await Update.heads_since(self._swept - MARGIN)
        self._swept = started
        return {key: recent[key] for key in keys if key in recent}

    async def stop(self, seconds: float) -> None:
        try:
            await self._writer.stop(seconds)
        except AppError:
            log.warning("updates_not_flushed")
