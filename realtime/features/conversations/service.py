"""What people can do with conversations. Every way in is `place`, which finds and authorises in one step."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Protocol

import structlog

from common.errors import Invalid, NotFound
from common.ids import Id
from documents.conversations import Conversation, ConversationList, Head, Member, Row
from realtime import channels
from realtime.channels import Publication
from realtime.fanout import Delivery, Fanout
from realtime.features.conversations import store
from realtime.features.conversations.schemas import (
    ConversationOut,
    ConversationUpdated,
    JoinOut,
    Person,
    Role,
)
from realtime.features.updates import UpdateService
from realtime.order import Turns
from realtime.policy import Policy, Verb
from realtime.renewals import Renewals, due_after

PLACE_SECONDS = 1.5
MAX_PLACES = 50_000
LISTED_MEMBERS = 100
MAX_CONVERSATIONS = 5000
HEADS_AT_ONCE = 500
TOUCH_SECONDS = 0.2

log = structlog.get_logger(__name__)


class ConversationNotFound(NotFound):
    text = "There is no such conversation."


class People(Protocol):
    """What conversations need to know of people."""

    async def cards(self, user_ids: Iterable[Id]) -> Mapping[Id, Person]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A member's place in a conversation, as it was at most 1.5 s ago."""

    conversation_id: Id
    user_id: Id
    role: Role
    other: Id | None
    """The other person of a direct conversation."""
    is_begun: bool
    """Whether the members have been told that the conversation exists."""
    is_closed: bool = False
    """Whether the other person's account has been erased: there is nobody to write to."""

    @property
    def is_direct(self) -> bool:
        return self.other is not None or self.is_closed


class ConversationService:
    """Direct conversations and their members' places; groups are managed by `GroupService`."""

    def __init__(
        self, people: People, policy: Policy, updates: UpdateService, fanout: Fanout, turns: Turns
    ) -> None:
        self._people, self._policy, self._updates, self._fanout = people, policy, updates, fanout
        self._turns = turns
        self._places: OrderedDict[tuple[Id, Id], tuple[float, float, Place]] = OrderedDict()
        self._outlines = store.Outlines(MAX_PLACES)
        self._renewals = Renewals()
        self._stale: OrderedDict[Id, float] = OrderedDict()
        self._active: dict[Id, Head] = {}
        self._toucher: asyncio.Task[None] | None = None
        self._touching = asyncio.Lock()

    # -- finding and authorising

    async def place(self, user_id: Id, conversation_id: Id, verb: Verb = Verb.SEE_CHAT) -> Place:
        """The caller's place; raises `ConversationNotFound` for who is not a member.

        In a direct conversation policy must allow `verb` about the other person, too.
        """
        place = self._known_place(user_id, conversation_id)
        if place is None:
            place = await self._look(user_id, conversation_id)
        if place.other is not None and not await self._policy.can_lately(user_id, verb, place.other):
            raise ConversationNotFound
        if place.is_closed and verb is not Verb.SEE_CHAT:
            raise ConversationNotFound
        return place

    def known(self, user_id: Id, conversation_id: Id, verb: Verb) -> Place | None:
        """The same without waiting, if it is in memory; None says that only `place` can tell."""
        place = self._known_place(user_id, conversation_id)
        if place is None or (place.is_closed and verb is not Verb.SEE_CHAT):
            return None
        if place.other is not None and not self._policy.known_lately(user_id, verb, place.other):
            return None
        return place

    def _known_place(self, user_id: Id, conversation_id: Id) -> Place | None:
        key, moment = (user_id, conversation_id), monotonic()
        until, due, place = self._places.get(key, (0.0, 0.0, None))
        if until <= max(moment, self._stale.get(conversation_id, 0.0)):
            return None
        if due <= moment:
            self._renewals.begin(key, partial(self._look, user_id, conversation_id))
        return place

    async def _look(self, user_id: Id, conversation_id: Id) -> Place:
        """Find a place and know it for a while from now: one read before `forget_places` stays unknown."""
        until, due = monotonic() + PLACE_SECONDS, due_after(PLACE_SECONDS)
        place = await self._find_place(user_id, conversation_id)
        self._places[user_id, conversation_id] = (until, due, place)
        self._places.move_to_end((user_id, conversation_id))
        while len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        return place

    def forget_places(self, conversation_id: Id) -> None:
        """Look again, because members or roles have changed here; also for who is looking just now."""
        self._stale[conversation_id] = monotonic() + PLACE_SECONDS
        self._stale.move_to_end(conversation_id)
        while len(self._stale) > MAX_PLACES:
            self._stale.popitem(last=False)

    async def _find_place(self, user_id: Id, conversation_id: Id) -> Place:
        role = await Member.role_of(conversation_id, user_id)
        outline = await self._outlines.find(conversation_id) if role else None
        if role is None or outline is None:
            raise ConversationNotFound
        pair, is_begun = outline
        other = next((one for one in pair if one != user_id), None)
        return Place(conversation_id, user_id, role, other, is_begun, is_closed=len(pair) == 1)

    async def direct(self, user_id: Id, other: Id) -> Place:
        """The place in the direct conversation with someone, which is made when there is none."""
        if other == user_id:
            raise Invalid.field("to", "cannot be yourself")
        if not await self._policy.can_lately(user_id, Verb.MESSAGE, other):
            raise ConversationNotFound
        conversation_id = Conversation.direct_id(user_id, other)
        place = self._known_place(user_id, conversation_id)
        if place is not None:
            return place
        with suppress(ConversationNotFound):
            return await self._look(user_id, conversation_id)
        await Conversation.open_direct(user_id, other)
        join = (channels.conversation(conversation_id), 0)
        self._fanout.deliver(Delivery((channels.user(user_id), channels.user(other)), join=join))
        return await self._look(user_id, conversation_id)

    def direct_id(self, one: Id, other: Id) -> Id:
        """The id that the direct conversation of two people has or would have."""
        return Conversation.direct_id(one, other)

    async def existing_direct(self, user_id: Id, other: Id) -> Place | None:
        """The place in the direct conversation with someone; None when there is none yet."""
        try:
            return await self.place(user_id, Conversation.direct_id(user_id, other))
        except ConversationNotFound:
            if not await self._policy.can_lately(user_id, Verb.MESSAGE, other):
                raise
        return None

    async def announce(self, place: Place) -> None:
        """Tell both people of a new direct conversation, once, and let their sockets listen to it."""
        if place.is_begun or place.other is None:
            return
        await self._policy.require(place.user_id, Verb.MESSAGE, place.other)
        created = ConversationUpdated(
            conversation_id=place.conversation_id, change="created", kind="direct", version=1
        )
        await self._updates.append(
            (place.user_id, place.other),
            created,
            key=f"created:{place.conversation_id}",
            join=(channels.conversation(place.conversation_id), 0),
        )
        await Conversation.begin(place.conversation_id)
        self.forget_places(place.conversation_id)

    # -- reading

    async def show(self, user_id: Id, conversation_id: Id) -> ConversationOut:
        """A conversation as its member sees it."""
        await self.place(user_id, conversation_id)
        row = await ConversationList.one(user_id, conversation_id)
        if row is None:
            raise ConversationNotFound
        (shown,) = await self.shown([row])
        return shown

    async def page(
        self, user_id: Id, limit: int, before: tuple[datetime, Id] | None = None, skip: int = 0
    ) -> list[Row]:
        """A person's conversations by activity, without those they share with a blocked person only."""
        await self.touch()
        return await ConversationList.page(user_id, limit, before, skip, await self._hidden(user_id))

    async def count(self, user_id: Id) -> int:
        """How many conversations all pages together have."""
        return await ConversationList.count(user_id, await self._hidden(user_id))

    async def _hidden(self, user_id: Id) -> list[Id]:
        """The direct conversations that a block hides."""
        return [Conversation.direct_id(user_id, other) for other in await self._policy.hidden_ids(user_id)]

    async def shown(self, rows: Sequence[Row]) -> list[ConversationOut]:
        """Rows of the list as the wire shows them, with members and their names."""
        listed = {
            row.conversation.id: await Member.list_of(row.conversation.id, LISTED_MEMBERS) for row in rows
        }
        cards = await self._people.cards({m.user for members in listed.values() for m in members})
        return [store.shown(row, listed[row.conversation.id], cards) for row in rows]

    async def enter(self, place: Place) -> JoinOut:
        """What a client needs on opening a conversation."""
        shown = await self.show(place.user_id, place.conversation_id)
        return JoinOut(conversation_id=shown.id, seq=shown.seq, members=shown.members, unread=shown.unread)

    async def places_of(self, user_ids: Sequence[Id]) -> dict[Id, list[Id]]:
        """Where each of these people has a place, blocked or not; of very many the most active ones."""
        places = await Member.places_of(user_ids)
        for user_id, mine in places.items():
            if len(mine) > MAX_CONVERSATIONS:
                places[user_id] = await ConversationList.all_of(user_id, MAX_CONVERSATIONS)
        return places

    async def memberships(self, user_id: Id, among: Sequence[Id]) -> dict[Id, int]:
        """The last seq of those conversations that this person is a member of and may read."""
        mine = await Member.among(user_id, among)
        hidden = set(await self._hidden(user_id))
        return await self.heads([one for one in mine if one not in hidden])

    async def member_ids(self, conversation_id: Id, limit: int | None = None) -> list[Id]:
        """Who is a member; at most `limit` of them, to know cheaply whether there are more than that."""
        return await Member.ids_of(conversation_id, limit)

    async def heads(self, conversation_ids: Sequence[Id]) -> dict[Id, int]:
        """The exact last seq of each conversation."""
        heads: dict[Id, int] = {}
        for start in range(0, len(conversation_ids), HEADS_AT_ONCE):
            heads |= await Conversation.heads(conversation_ids[start : start + HEADS_AT_ONCE])
        return heads

    async def head(self, conversation_id: Id) -> int:
        """The exact last seq of a conversation."""
        return (await Conversation.heads([conversation_id])).get(conversation_id, 0)

    # -- when conversations were last active

    def note(self, heads: Iterable[Head]) -> None:
        """Remember new messages for the order of lists; written together a moment later."""
        for head in heads:
            known = self._active.setdefault(head.conversation, head)
            if known.seq < head.seq:
                head.senders = {**known.senders, **head.senders}
                self._active[head.conversation] = head
        if self._toucher is None and self._active:
            self._toucher = asyncio.get_running_loop().create_task(self._touch_later())

    async def _touch_later(self) -> None:
        await asyncio.sleep(TOUCH_SECONDS)
        self._toucher = None
        await self.touch()

    async def touch(self) -> None:
        """Write what was noted; on return it is written, also what somebody else was writing just now.

        Should it be lost, only the order of lists is late until the next message.
        """
        async with self._touching:
            heads, self._active = list(self._active.values()), {}
            try:
                if heads:
                    await Conversation.touch(heads)
            except Exception:
                log.exception("touch_failed", conversations=len(heads))

    # -- changing

    def turn(self, conversation_id: Id) -> AbstractAsyncContextManager[None]:
        """Change a conversation and tell of it within a turn: on this node nobody else does so meanwhile."""
        return self._turns.of(conversation_id)

    async def tell(self, conversation_id: Id, publication: Publication, key: str) -> None:
        """Log a change for every member."""
        await self._updates.append(await Member.ids_of(conversation_id), publication, key=key)
