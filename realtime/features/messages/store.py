"""Conversations' streams: drafts into stored messages, stored messages into deliveries and wire shapes."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from common.clock import iso, now
from common.ids import Id, new_id
from documents.conversations import Activity, ConversationList, Head, Member, top_readers_of
from documents.messages import Message, Text
from documents.streams import Collision
from realtime import channels
from realtime.fanout import Delivery, Fanout, packet_of
from realtime.features.conversations import Place
from realtime.features.messages import rules
from realtime.features.messages.schemas import (
    MessageIn,
    MessageOut,
    MessageReaction,
    NewMessage,
    ReactIn,
)
from realtime.streams import Draft

LISTED_REACTORS = 50
AROUND = 5
"""Messages before and after a reported one that are kept with it."""
LONGEST_AROUND = 1000
"""Characters of each of them."""
WALKED_AT_ONCE = 500


class MessageLog:
    """The collection of messages, for the stream writer."""

    name = "messages"

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    async def head(self, stream: Id) -> int:
        return await Message.head(stream)

    async def append(self, drafts: Sequence[Draft]) -> Collision | None:
        for draft in drafts:
            draft.entry["seq"] = draft.position
        return await Message.append([draft.entry for draft in drafts])

    async def known(self, drafts: Sequence[Draft]) -> set[str]:
        pairs = [(draft.entry["sender"], draft.entry["client_id"]) for draft in drafts]
        return {_key(*pair) for pair in await Message.known(pairs)}

    def hint(self, stream: Id, position: int) -> None:
        self._fanout.hint(channels.conversation(stream), position)


class Excerpts:
    """Messages as what can be reported, by members of their conversation, whoever has blocked whom."""

    async def evidence(self, reporter: Id, message_id: Id) -> tuple[Id, dict[str, Any]] | None:
        """Who wrote it, and how it stands among those around it; None for who cannot read it."""
        message = await Message.get(message_id)
        if message is None or message.deleted_at is not None:
            return None
        conversation = message.conversation
        if await Member.role_of(conversation, reporter) is None:
            return None
        before = await Message.before(conversation, message.seq, AROUND)
        after = await Message.after(conversation, message.seq, AROUND)
        return message.sender, {
            "conversationId": conversation,
            "message": _quoted(message, len(message.text)),
            "before": [_quoted(one, LONGEST_AROUND) for one in before[::-1]],
            "after": [_quoted(one, LONGEST_AROUND) for one in after],
        }


class ShownMedia:
    """Messages as things that show uploads."""

    kinds = frozenset({"message"})

    async def standing(self, refs: Sequence[str]) -> Sequence[tuple[str, Id, str]]:
        """Those of these refs that show something, their owners, and the addresses of what they show."""
        return _showing(await Message.media_of([ref.partition(":")[2] for ref in refs]))

    async def walk(self) -> AsyncGenerator[Sequence[tuple[str, Id, str]]]:
        """All of them, a part at a time."""
        after = ""
        while page := await Message.media_after(after, WALKED_AT_ONCE):
            yield _showing(page)
            after = page[-1][0]


def _showing(found: Sequence[tuple[Id, Id, str | None]]) -> list[tuple[str, Id, str]]:
    return [(rules.media_ref(key), sender, address) for key, sender, address in found if address is not None]


def _quoted(message: Message, longest: int) -> dict[str, Any]:
    return {
        "id": message.id,
        "seq": message.seq,
        "from": message.sender,
        "text": message.text[:longest],
        "mediaUrl": message.media_url,
        "mediaType": message.media_type,
        "createdAt": iso(message.created_at),
        "editedAt": iso(message.edited_at) if message.edited_at is not None else None,
        "deletedAt": iso(message.deleted_at) if message.deleted_at is not None else None,
    }


def _key(sender: Id, client_id: str) -> str:
    return f"{sender}:{client_id}"


class Index(Protocol):
    """By what messages are found."""

    async def editing(self, message: Message, text: str) -> None:
        """Before a text is replaced."""
        ...

    async def edited(self, message: Message) -> None:
        """After it was."""
        ...

    async def erased(self, message_id: Id) -> None:
        """A message says nothing any more."""
        ...


class Texts:
    """Changes what messages say, and by what they are found."""

    index: Index | None = None

    async def edit(self, message: Message, text: str, seen: datetime | None) -> Message | None:
        """Replace a text if nobody edited it since `seen`."""
        if self.index is None:
            return await Message.edit(message.id, message.sender, text, seen)
        await self.index.editing(message, text)
        edited = await Message.edit(message.id, message.sender, text, seen)
        stands = edited or await Message.get(message.id)
        if stands is not None:
            await self.index.edited(stands)
        return edited

    async def erase(self, message_id: Id) -> Message | None:
        """Take the content out and leave the place; None when it is erased already."""
        erased = await Message.erase(message_id)
        if self.index is not None:
            await self.index.erased(message_id)
        return erased


class MessageArchive:
    """What was said, for those who look for something in it."""

    async def conversations_of(self, user_id: Id, most: int) -> list[Activity]:
        """Somebody's conversations and when each was last active, the latest first."""
        return await ConversationList.activity_of(user_id, most)

    async def texts(self, ranges: Mapping[Id, tuple[int, int]]) -> list[Text]:
        """What was said in conversations behind one `seq` up to another."""
        return await Message.texts(ranges)

    async def of_ids(self, message_ids: Sequence[Id]) -> list[Message]:
        return await Message.of_ids(message_ids)

    async def shown(self, messages: Sequence[Message]) -> list[MessageOut]:
        """Messages of any conversations, with who has read them."""
        readers = await top_readers_of({message.conversation for message in messages}) if messages else {}
        return [shown(message, readers.get(message.conversation, ())) for message in messages]

    def heads_since(self, since: datetime, at_once: int) -> AsyncGenerator[dict[Id, int], None]:
        """The last `seq` of conversations in which something was stored since then, some at a time."""
        return Message.heads_since(since, at_once)


def draft_of(place: Place, body: MessageIn, digest: str) -> Draft:
    """A message on its way into its conversation."""
    entry: dict[str, Any] = {
        "_id": new_id(),
        "conversation": place.conversation_id,
        "sender": place.user_id,
        "to": place.other,
        "client_id": body.client_id,
        "body_hash": digest,
        "text": body.text,
        "media_url": body.media_url,
        "media_type": rules.media_type(body.media_url),
        "reply_to": body.reply_to,
        "reactions": {},
        "edited_at": None,
        "deleted_at": None,
        "created_at": now(),
    }
    return Draft(place.conversation_id, entry, _key(place.user_id, body.client_id))


def fresh(entry: Mapping[str, Any]) -> NewMessage:
    """A message just stored, as everybody hears it. Its fields were checked on their way in."""
    return NewMessage.model_construct(
        id=entry["_id"],
        conversation_id=entry["conversation"],
        seq=entry["seq"],
        from_=entry["sender"],
        to=entry["to"],
        text=entry["text"],
        media_url=entry["media_url"],
        media_type=entry["media_type"],
        reply_to=entry["reply_to"],
        reactions={},
        read=False,
        read_at=None,
        edited_at=None,
        deleted_at=None,
        client_id=entry["client_id"],
        created_at=entry["created_at"],
        rev=0,
    )


def delivery(message: NewMessage) -> Delivery:
    """A message as an entry of its conversation's stream."""
    channel = channels.conversation(message.conversation_id)
    return Delivery((channel,), packet_of(message), message.seq, origin=message.from_)


def heads_of(drafts: Sequence[Draft]) -> list[Head]:
    """The newest message of each conversation in a group commit."""
    heads: dict[Id, Head] = {}
    for draft in drafts:
        entry = draft.entry
        senders = heads[draft.stream].senders if draft.stream in heads else {}
        senders[entry["sender"]] = draft.position
        heads[draft.stream] = Head(
            conversation=draft.stream,
            seq=draft.position,
            at=entry["created_at"],
            senders=senders,
        )
    return list(heads.values())


def again(message: Message) -> NewMessage:
    """A stored message, as it was said when it was new."""
    return NewMessage(**_fields(message))


def shown(message: Message, readers: Sequence[Member] = ()) -> MessageOut:
    """A message with whether somebody other than its sender has read it; `readers` have read furthest."""
    at = next((_read_at(reader, message.seq) for reader in readers if reader.user != message.sender), None)
    return MessageOut(**_fields(message), read=at is not None, read_at=at)


def reaction(message: Message, user_id: Id, body: ReactIn) -> MessageReaction:
    """A reaction as everybody's log keeps it; many reactors are not repeated in each entry."""
    standing = {emoji: users for emoji, users in message.reactions.items() if users}
    few = sum(map(len, standing.values())) <= LISTED_REACTORS
    return MessageReaction(
        conversation_id=message.conversation,
        message_id=message.id,
        seq=message.seq,
        rev=message.rev,
        user_id=user_id,
        emoji=body.emoji,
        on=body.on,
        reactions=standing if few else None,
    )


def _read_at(reader: Member, seq: int) -> datetime | None:
    if reader.read_seq < seq:
        return None
    known = next((mark.at for mark in reader.marks if mark.seq >= seq), None)
    return known or reader.read_at


def _fields(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "conversation_id": message.conversation,
        "seq": message.seq,
        "from": message.sender,
        "to": message.to,
        "text": message.text,
        "media_url": message.media_url,
        "media_type": message.media_type,
        "reply_to": message.reply_to,
        "reactions": {emoji: users for emoji, users in message.reactions.items() if users},
        "edited_at": message.edited_at,
        "deleted_at": message.deleted_at,
        "client_id": message.client_id,
        "created_at": message.created_at,
        "rev": message.rev,
    }
