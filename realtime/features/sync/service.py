"""Closing every gap between what a client has and what is stored."""

from collections.abc import Mapping

from common.ids import Id
from realtime.features.conversations import ConversationService
from realtime.features.messages import MessageService
from realtime.features.receipts import ReceiptService
from realtime.features.sync.schemas import StreamPage, SyncIn, SyncOut
from realtime.features.updates import UpdateService
from realtime.features.updates.rules import fitting, size_of
from realtime.features.updates.schemas import UpdatesPage

MAX_MESSAGES = 1000
MAX_BYTES = 131_072
"""Of messages in one answer; the outgoing budget of a socket holds several such answers."""
SNAPSHOT_CONVERSATIONS = 100


class SyncService:
    """Answers `sync` from the database alone."""

    def __init__(
        self,
        conversations: ConversationService,
        messages: MessageService,
        receipts: ReceiptService,
        updates: UpdateService,
        *,
        limits: "SyncLimits",
    ) -> None:
        self._conversations, self._messages = conversations, messages
        self._receipts, self._updates, self._limits = receipts, updates, limits

    async def sync(self, user_id: Id, body: SyncIn) -> SyncOut:
        """Everything after the given positions, in order, or word that it is too much."""
        updates = await self._changes(user_id, body.updates)
        heads = await self._conversations.memberships(user_id, list(body.streams))
        streams = await self._streams(body.streams, heads)
        snapshot = None
        if updates.truncated:
            snapshot = await self._messages.conversations(user_id, SNAPSHOT_CONVERSATIONS)
        reached = [(one, page.seq) for one, page in streams.items() if page.messages]
        await self._receipts.delivered(user_id, reached)
        return SyncOut(
            streams=streams,
            updates=updates,
            gone=[one for one in body.streams if one not in heads],
            conversations=snapshot,
        )

    async def _changes(self, user_id: Id, pos: int | None) -> UpdatesPage:
        if pos is None:
            return UpdatesPage(pos=await self._updates.head(user_id))
        return await self._updates.after(user_id, pos)

    async def _streams(self, asked: Mapping[Id, int], heads: Mapping[Id, int]) -> dict[Id, StreamPage]:
        pages: dict[Id, StreamPage] = {}
        left, room = MAX_MESSAGES, MAX_BYTES
        for conversation_id, seq in asked.items():
            if conversation_id not in heads:
                continue
            page = await self._stream(conversation_id, seq, heads[conversation_id], left if room > 0 else 0)
            messages = fitting(page.messages, max(room, 0))
            if len(messages) < len(page.messages) and not page.truncated:
                page = StreamPage(seq=messages[-1].seq, head=page.head, messages=messages, more=True)
            left -= len(page.messages)
            room -= sum(size_of(message) for message in page.messages)
            pages[conversation_id] = page
        return pages

    async def _stream(self, conversation_id: Id, seq: int, head: int, left: int) -> StreamPage:
        if seq == head:
            return StreamPage(seq=head, head=head)
        if left <= 0:
            return StreamPage(seq=seq, head=head, more=True)
        if seq > head or head - seq > self._limits.gap:
            latest = await self._messages.latest(conversation_id, min(self._limits.snapshot, left))
            latest = fitting(latest[::-1], MAX_BYTES)[::-1]
            last = latest[-1].seq if latest else 0
            return StreamPage(seq=last, head=max(head, last), messages=latest, truncated=True)
        found = await self._messages.after(conversation_id, seq, min(self._limits.page, left))
        last = found[-1].seq if found else seq
        return StreamPage(seq=last, head=max(head, last), messages=found, more=last < head)


class SyncLimits:
    """How much of a stream one answer carries."""

    def __init__(self, *, page: int, gap: int, snapshot: int) -> None:
        self.page, self.gap, self.snapshot = page, gap, snapshot
