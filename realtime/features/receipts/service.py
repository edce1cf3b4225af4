"""Reading and delivery positions. They only move forward; the newest one says everything."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime

import structlog

from common.clock import now
from common.errors import Invalid
from common.ids import Id
from documents.conversations import Behind, Conversation, ConversationList, Member, behind
from realtime import channels
from realtime.fanout import Connection, Fanout
from realtime.features.conversations import ConversationService
from realtime.features.conversations.schemas import MessageDelivered, MessageRead, ReadOut
from realtime.features.conversations.service import ConversationNotFound
from realtime.features.updates import UpdateService

log = structlog.get_logger(__name__)

SHARED_UP_TO = 100
"""In larger groups a reading position is logged for its owner only."""
DELIVERED_UP_TO = 32
"""With more listening sockets on this node, delivery is not tracked."""
FLUSH_SECONDS = 0.5
MAX_PENDING = 20_000


class ReceiptService:
    """Marks conversations read, and notes what has reached people's devices."""

    def __init__(self, conversations: ConversationService, updates: UpdateService, fanout: Fanout) -> None:
        self._conversations, self._updates, self._fanout = conversations, updates, fanout
        self._pending: dict[tuple[Id, Id], int] = {}
        self._flusher: asyncio.Task[None] | None = None
        self.on_read: Callable[[Id, Id], Awaitable[None]] | None = None
        """Told of person and conversation when it is read to its end."""

    async def mark_read(
        self, user_id: Id, conversation_id: Id, seq: int, message_id: Id | None = None
    ) -> ReadOut:
        """Have read everything up to `seq`. Doing it again, or for less, changes nothing."""
        await self._conversations.place(user_id, conversation_id)
        row = await ConversationList.one(user_id, conversation_id)
        if row is None:
            raise ConversationNotFound
        if seq > row.seq:
            raise Invalid.field("seq", f"the last message is {row.seq}")
        if seq > row.member.read_seq:
            await Member.mark_read(conversation_id, user_id, seq, now())
        if seq >= row.member.read_seq:
            await self._tell(user_id, conversation_id, seq, message_id)
        position = max(row.read_seq, seq)
        if position == row.seq and self.on_read is not None:
            await self.on_read(user_id, conversation_id)
        return ReadOut(conversation_id=conversation_id, seq=position, unread=row.seq - position)

    async def _tell(self, user_id: Id, conversation_id: Id, seq: int, message_id: Id | None) -> None:
        """Log it once, also when a crash came between marking and logging and the client asks again."""
        read = MessageRead(conversation_id=conversation_id, user_id=user_id, seq=seq, message_id=message_id)
        members = await Member.ids_of(conversation_id, SHARED_UP_TO + 1)
        audience = members if len(members) <= SHARED_UP_TO else [user_id]
        await self._updates.append(audience, read, key=f"read:{conversation_id}:{user_id}:{seq}")

    # -- who has not read

    async def behind(self, conversation_ids: Collection[Id], most: int) -> list[Behind]:
        """Who is behind, and has not muted it, in those conversations that have at most `most` members."""
        return await behind(conversation_ids, most) if conversation_ids else []

    async def active_since(self, moment: datetime, limit: int) -> list[Id]:
        """The conversations with a message since then, the newest first."""
        return await Conversation.active_since(moment, limit)

    # -- delivery

    def heard(
        self, channel: str, position: int, origin: str | None, listeners: Collection[Connection]
    ) -> None:
        """Fan-out has written a stream entry to these sockets."""
        if channels.kind(channel) != "conversation" or len(listeners) > DELIVERED_UP_TO:
            return
        conversation_id = channels.key(channel)
        for connection in listeners:
            if connection.user_id != origin and len(self._pending) < MAX_PENDING:
                self._note(conversation_id, connection.user_id, position)
        if self._flusher is None and self._pending:
            self._flusher = asyncio.get_running_loop().create_task(self._flush_later())

    async def _flush_later(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._flusher = None
        await self.flush()

    async def flush(self) -> None:
        """Store what has gathered and tell the conversations."""
        marks, self._pending = self._pending, {}
        if not marks:
            return
        try:
            await Member.mark_delivered(marks)
        except Exception:
            log.exception("delivery_marks_lost", count=len(marks))
            return
        for (conversation_id, user_id), seq in marks.items():
            delivered = MessageDelivered(conversation_id=conversation_id, user_id=user_id, seq=seq)
            self._fanout.publish(channels.conversation(conversation_id), delivered)

    async def delivered(self, user_id: Id, positions: Sequence[tuple[Id, int]]) -> None:
        """What a client has fetched has reached it."""
        for conversation_id, seq in positions:
            self._note(conversation_id, user_id, seq)
        await self.flush()

    def _note(self, conversation_id: Id, user_id: Id, seq: int) -> None:
        known = self._pending.get((conversation_id, user_id), 0)
        self._pending[conversation_id, user_id] = max(known, seq)

    async def stop(self) -> None:
        """Store what has gathered."""
        if self._flusher is not None:
            self._flusher.cancel()
        await self.flush()
