"""What people can do with messages: the one way in for sockets and for HTTP."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.clock import now
from common.errors import Conflict, Forbidden, Invalid, NotFound
from common.ids import Id
from documents.conversations import Member, Row
from documents.messages import Message
from realtime.fanout import Delivery, Fanout
from realtime.features.conversations import ConversationService, Place
from realtime.features.conversations.schemas import ReadOut, Voices
from realtime.features.messages import rules, store
from realtime.features.messages.schemas import (
    ConversationEntry,
    DeleteIn,
    EditIn,
    Media,
    MessageDeleted,
    MessageIn,
    MessageOut,
    MessageUpdated,
    ReactIn,
    ReadIn,
)
from realtime.features.receipts import ReceiptService
from realtime.order import Turns
from realtime.policy import Verb
from realtime.streams import Draft, KeyKnown, StreamWriter


class MessageNotFound(NotFound):
    text = "There is no such message."


class ClientIdReused(Conflict):
    code, text = "client_id_reused", "This clientId belongs to another message of yours."


class ReactionsFull(Conflict):
    code, text = "reactions_full", "The message has all the kinds of reactions it can have."


class EditConflict(Conflict):
    code, text = "edit_conflict", "The message was edited meanwhile."


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What messages stand in: their conversations, who may speak, and what they show."""

    conversations: ConversationService
    receipts: ReceiptService
    voices: Voices
    media: Media


class MessageService:
    """Stores messages in their conversation's one order, and changes them."""

    def __init__(self, around: Surroundings, fanout: Fanout, *, batch: int = 256) -> None:
        self._conversations, self._receipts = around.conversations, around.receipts
        self._voices, self._media = around.voices, around.media
        self._fanout, self._turns = fanout, Turns()
        self.texts = store.Texts()
        self.on_sending: Callable[[Id, Id], None] | None = None
        """Told of conversation and sender when a message comes that no conversation actor has seen."""
        self.on_stored: Callable[[Sequence[MessageOut]], None] | None = None
        """Told of messages that were stored, or found to be; called for every one, so it must not wait."""
        self._writer = StreamWriter(store.MessageLog(fanout), self._stored, batch=batch)

    # -- sending

    async def send(self, user_id: Id, body: MessageIn) -> MessageOut:
        """Store a message and say it; a retry gets the first answer."""
        answer = await self.begin_send(user_id, body)
        if self.on_sending is not None:
            self.on_sending(
                body.conversation_id or self._conversations.direct_id(user_id, body.to or ""), user_id
            )
        return await answer

    async def begin_send(self, user_id: Id, body: MessageIn) -> "asyncio.Task[MessageOut]":
        """Check a message and give it its turn; the task is its answer once it is stored.

        Messages begun one after the other by one person are stored in that order.
        """
        self._voices.require_voice(user_id)
        rules.require_content(body)
        if body.to is not None:
            place = await self._conversations.direct(user_id, body.to)
        else:
            place = await self._conversations.place(user_id, body.conversation_id or "", Verb.MESSAGE)
        if body.reply_to is not None:
            await self._require_in(place, body.reply_to)
        await self._conversations.announce(place)
        draft = store.draft_of(place, body, rules.body_hash(place.conversation_id, body))
        if body.media_id is not None and not await self._show(draft, body.media_id):
            return asyncio.get_running_loop().create_task(self._answer_again(draft, body.client_id))
        self._writer.append(draft)
        return asyncio.get_running_loop().create_task(self._finish(draft, body.client_id))

    async def _show(self, draft: Draft, media_id: Id) -> bool:
        """Let a message show an upload; False for a retry of one whose upload cannot be shown any more."""
        sender, ref = draft.entry["sender"], rules.media_ref(draft.entry["_id"])
        try:
            attached = await self._media.attach(sender, media_id, ref)
        except (NotFound, Conflict):
            if await Message.of_client(sender, draft.entry["client_id"]) is None:
                raise
            return False
        draft.entry.update(media_url=attached.url, media_type=attached.family)
        return True

    async def _finish(self, draft: Draft, client_id: str) -> MessageOut:
        try:
            await asyncio.shield(draft.done)
        except KeyKnown:
            return await self._answer_again(draft, client_id)
        return draft.said

    async def _answer_again(self, draft: Draft, client_id: str) -> MessageOut:
        """A retry: the stored message, said again for whom the first saying did not reach."""
        if draft.entry["media_url"] is not None:
            await self._media.detach(rules.media_ref(draft.entry["_id"]))
        known = await Message.of_client(draft.entry["sender"], client_id)
        if known is None or known.body_hash != draft.entry["body_hash"]:
            raise ClientIdReused
        draft.entry.update(_id=known.id, seq=known.seq, created_at=known.created_at)
        draft.position = known.seq
        self._conversations.note(store.heads_of([draft]))
        said = store.again(known)
        self._fanout.deliver(store.delivery(said))
        if self.on_stored is not None:
            self.on_stored([said])
        return said

    async def _stored(self, drafts: Sequence[Draft]) -> None:
        self._conversations.note(store.heads_of(drafts))
        for draft in drafts:
            draft.said = store.fresh(draft.entry)
            self._fanout.deliver(store.delivery(draft.said))
        if self.on_stored is not None:
            self.on_stored([draft.said for draft in drafts])

    async def _require_in(self, place: Place, message_id: Id) -> None:
        message = await Message.get(message_id)
        if message is None or message.conversation != place.conversation_id:
            raise MessageNotFound

    # -- reading

    async def history(
        self, place: Place, limit: int, *, before: int | None = None, after: int | None = None
    ) -> list[MessageOut]:
        """The newest messages (in front of `before`), newest first; or those behind `after`, oldest first."""
        if before is not None and after is not None:
            raise Invalid.field("before", "give either before or after")
        if after is not None:
            found = await Message.after(place.conversation_id, after, limit)
        else:
            found = await Message.before(place.conversation_id, before, limit)
        return await self.shown(place.conversation_id, found)

    async def shown(self, conversation_id: Id, messages: Sequence[Message]) -> list[MessageOut]:
        """Messages of one conversation, with who has read them."""
        if not messages:
            return []
        readers = await Member.top_readers(conversation_id)
        return [store.shown(message, readers) for message in messages]

    async def conversations(
        self, user_id: Id, limit: int, before: tuple[datetime, Id] | None = None, skip: int = 0
    ) -> list[ConversationEntry]:
        """One's conversations by activity, each with its last message."""
        return await self._entries(await self._conversations.page(user_id, limit, before, skip))

    async def conversations_page(
        self, user_id: Id, limit: int, before: tuple[datetime, Id] | None = None, skip: int = 0
    ) -> tuple[list[ConversationEntry], tuple[datetime, Id] | None]:
        """A page of one's conversations, and behind what to go on if there are more.

        That is what the list is sorted by, which may be older than the `lastAt` that is shown.
        """
        rows = await self._conversations.page(user_id, limit + 1, before, skip)
        last = rows[limit - 1].conversation if len(rows) > limit else None
        return await self._entries(rows[:limit]), (last.last_at, last.id) if last else None

    async def _entries(self, rows: Sequence[Row]) -> list[ConversationEntry]:
        entries: list[ConversationEntry] = []
        for out, row in zip(await self._conversations.shown(rows), rows, strict=True):
            last = [Message.model_validate(row.last_message)] if row.last_message else []
            said = await self.shown(out.id, last)
            entries.append(ConversationEntry(**out.model_dump(), last_message=said[0] if said else None))
        return entries

    async def after(self, conversation_id: Id, seq: int, limit: int) -> list[MessageOut]:
        """Messages behind a seq in order, for who was authorised before."""
        return await self.shown(conversation_id, await Message.after(conversation_id, seq, limit))

    async def latest(self, conversation_id: Id, limit: int) -> list[MessageOut]:
        """The newest messages in order, for who was authorised before."""
        found = await Message.before(conversation_id, None, limit)
        return await self.shown(conversation_id, found[::-1])

    # -- changing: one change of a conversation at a time on this node, so that logs end with the truth

    async def edit(self, user_id: Id, body: EditIn) -> MessageOut:
        """Replace one's own text, within 24 hours."""
        self._voices.require_voice(user_id)
        message = await self._require_message(user_id, body.message_id)
        if message.sender != user_id or message.deleted_at is not None:
            raise Forbidden
        rules.require_editable(message.created_at, now())
        async with self._turns.of(message.conversation):
            if message.text != body.text:
                seen = body.edited_at if "edited_at" in body.model_fields_set else message.edited_at
                edited = await self.texts.edit(message, body.text, seen)
                if edited is None:
                    raise EditConflict
                message = edited
            (shown,) = await self.shown(message.conversation, [message])
            key = f"edit:{message.id}:{message.edited_at}"
            await self._conversations.tell(message.conversation, MessageUpdated(message=shown), key)
        return shown

    async def delete(self, user_id: Id, body: DeleteIn) -> MessageOut:
        """Delete for everyone: one's own message, or any as owner or admin of the group."""
        message = await self._require_message(user_id, body.message_id)
        place = await self._conversations.place(user_id, message.conversation)
        manages = place.other is None and place.role in ("owner", "admin")
        if message.sender != user_id and not manages:
            raise Forbidden
        async with self._turns.of(message.conversation):
            message = await self.texts.erase(message.id) or await self._require_message(user_id, message.id)
            await self._media.detach(rules.media_ref(message.id))
            deleted = MessageDeleted(
                conversation_id=message.conversation,
                message_id=message.id,
                seq=message.seq,
                rev=message.rev,
                deleted_at=message.deleted_at or now(),
            )
            await self._conversations.tell(message.conversation, deleted, f"delete:{message.id}")
        return store.shown(message)

    async def react(self, user_id: Id, body: ReactIn) -> MessageOut:
        """Add an emoji or take it back; what stands already is told again, should that have been lost."""
        message = await self._require_message(user_id, body.message_id)
        if message.deleted_at is not None:
            raise MessageNotFound
        async with self._turns.of(message.conversation):
            if body.on:
                self._voices.require_voice(user_id)
                changed = await Message.react(message.id, user_id, body.emoji, rules.MAX_REACTION_KINDS)
            else:
                changed = await Message.unreact(message.id, user_id, body.emoji)
            if changed is None:
                changed = await self._require_message(user_id, message.id)
                if (user_id in changed.reactions.get(body.emoji, ())) != body.on:
                    raise ReactionsFull
            said = store.reaction(changed, user_id, body)
            key = f"react:{changed.id}:{changed.rev}:{user_id}:{body.emoji}"
            await self._conversations.tell(changed.conversation, said, key)
        return store.shown(changed)

    async def mark_read(self, user_id: Id, body: ReadIn) -> ReadOut:
        """Have read up to a message or a seq."""
        if body.message_id is not None:
            message = await self._require_message(user_id, body.message_id)
            if body.conversation_id not in (None, message.conversation):
                raise MessageNotFound
            return await self._receipts.mark_read(user_id, message.conversation, message.seq, message.id)
        if body.conversation_id is None or body.seq is None:
            raise Invalid.field("messageId", "give messageId, or conversationId and seq")
        return await self._receipts.mark_read(user_id, body.conversation_id, body.seq)

    async def shows_to(self, viewer: Id | None, message_ids: Sequence[Id], _: Id) -> bool:
        """Whether somebody may see what these messages show: one of them, in a conversation of theirs."""
        if viewer is None:
            return False
        for conversation in await Member.among(viewer, await Message.standing_in(message_ids)):
            with contextlib.suppress(NotFound):
                await self._conversations.place(viewer, conversation)
                return True
        return False

    async def _require_message(self, user_id: Id, message_id: Id) -> Message:
        """A message in a conversation of the caller's; anything else does not exist."""
        message = await Message.get(message_id)
        if message is None:
            raise MessageNotFound
        try:
            await self._conversations.place(user_id, message.conversation)
        except NotFound as hidden:
            raise MessageNotFound from hidden
        return message

    # -- as a source of streams for fan-out

    async def entries_after(self, key: str, position: int, limit: int) -> Sequence[Delivery]:
        return [store.delivery(store.again(m)) for m in await Message.after(key, position, limit)]

    async def heads(self, keys: Sequence[str]) -> Mapping[str, int]:
        return await self._conversations.heads(keys)

    def observe(self, key: str, position: int) -> None:
        self._writer.observe(key, position)

    async def stop(self, seconds: float) -> None:
        """Store what waits."""
        await self._writer.stop(seconds)
        await self._conversations.touch()
