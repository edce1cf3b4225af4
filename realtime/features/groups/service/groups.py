"""What people can do with groups. Changes are transactions; logs tell everyone concerned, on a retry too."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import structlog

from common.clock import now
from common.errors import Conflict, Forbidden, Invalid
from common.ids import Id, new_id
from documents.conversations import Conversation, Departure, Member
from realtime.features.conversations import ConversationService, Place
from realtime.features.conversations.schemas import (
    ConversationChange,
    ConversationOut,
    ConversationUpdated,
    GroupIn,
    MemberIn,
    Role,
    Voices,
)
from realtime.features.conversations.service import ConversationNotFound
from realtime.features.groups import rules
from realtime.features.groups.service.news import GroupNews
from realtime.features.updates import UpdateService
from realtime.policy import PersonAbsent, Policy, Verb

T = TypeVar("T")

MAX_MEMBERS = 5000
LATE = timedelta(seconds=5)
"""Who was to tell of a departure, and has not by then, is not going to."""
DEPARTURES_AT_ONCE = 100

log = structlog.get_logger(__name__)


class NotAGroup(Conflict):
    code, text = "not_a_group", "A direct conversation has exactly its two people."


class GroupFull(Conflict):
    code, text = "group_full", "The group has as many members as it can have."


class OwnerStays(Conflict):
    code, text = "owner_stays", "The owner keeps the role until handing it over."


class RoleChanged(Conflict):
    text = "The role was changed by someone else meanwhile."


class Transactions(Protocol):
    async def transaction(self, work: Callable[[Any], Awaitable[T]]) -> T: ...


class GroupService:
    """Groups and their members. Whatever races, a group that is not empty has exactly one owner."""

    def __init__(
        self,
        database: Transactions,
        conversations: ConversationService,
        policy: Policy,
        updates: UpdateService,
        voices: Voices,
    ) -> None:
        self._database, self._conversations = database, conversations
        self._policy, self._updates, self._voices = policy, updates, voices
        self._news = GroupNews(conversations, updates)
        self.on_left: Callable[[Id, Id], Awaitable[None]] | None = None
        """Told of person and group when somebody has left or was removed."""

    # -- founding and naming

    async def create(self, user_id: Id, body: GroupIn) -> ConversationOut:
        """Found a group and be its owner; with a `clientId` of before it is the group of before."""
        self._voices.require_voice(user_id)
        group_id = Conversation.group_id(user_id, body.client_id) if body.client_id else new_id()
        if await Conversation.get(group_id) is None:
            await self._found(group_id, user_id, body)
        async with self._conversations.turn(group_id):
            await self._news.founded(group_id)
        return await self._conversations.show(user_id, group_id)

    async def _found(self, group_id: Id, user_id: Id, body: GroupIn) -> None:
        others = [one for one in dict.fromkeys(body.member_ids) if one != user_id]
        await self._policy.require(user_id, Verb.ADD_TO_GROUP, *others)
        group = Conversation(
            id=group_id, kind="group", name=body.name, created_by=user_id, member_count=1 + len(others)
        )
        members = [Member(conversation=group_id, user=user_id, role="owner")]
        members += [Member(conversation=group_id, user=other) for other in others]

        async def work(session: Any) -> None:
            if not await Conversation.found(group, members, session):
                raise _DoneBefore

        try:
            await self._change(group_id, work)
        except _DoneBefore:
            return

    async def change(self, user_id: Id, conversation_id: Id, body: ConversationChange) -> ConversationOut:
        """Rename the group, or mute a conversation for oneself."""
        place = await self._conversations.place(user_id, conversation_id)
        if body.name is not None:
            self._voices.require_voice(user_id)
            self._require_group(place)
            _require(rules.may_rename(place.role))
        async with self._conversations.turn(conversation_id):
            if body.name is not None:
                version = await Conversation.rename(conversation_id, body.name)
                await self._news.renamed(conversation_id, body.name, _of_group(version))
            if body.muted is not None:
                await self._mute(place, body.muted)
        return await self._conversations.show(user_id, conversation_id)

    async def _mute(self, place: Place, muted: bool) -> None:
        await Member.set_muted(place.conversation_id, place.user_id, muted)
        kind = "direct" if place.is_direct else "group"
        said = ConversationUpdated(
            conversation_id=place.conversation_id, change="muted", muted=muted, kind=kind
        )
        await self._updates.append([place.user_id], said)

    # -- members and roles

    async def set_member(self, user_id: Id, conversation_id: Id, body: MemberIn) -> ConversationOut:
        """Add a person, or change a member's role; the role `owner` hands the group over.

        What is so already is told again: the first try may have failed after storing it.
        """
        self._require_group(await self._conversations.place(user_id, conversation_id))
        async with self._conversations.turn(conversation_id):
            present = await Member.of(conversation_id, body.user_id)
            if present is None:
                present = await self._add(user_id, conversation_id, body)
            if present.role == body.role:
                await self._news.placed(present)
            else:
                await self._change_role(user_id, present, body.role)
        return await self._conversations.show(user_id, conversation_id)

    async def _add(self, user_id: Id, conversation_id: Id, body: MemberIn) -> Member:
        """Add a person; the place they have then."""
        self._require_may_add(await Member.of(conversation_id, user_id), body.role)
        await self._policy.require(user_id, Verb.ADD_TO_GROUP, body.user_id)
        seq = await self._conversations.head(conversation_id)
        member = Member(
            conversation=conversation_id,
            user=body.user_id,
            role=body.role,
            read_seq=seq,
            delivered_seq=seq,
            joined_at=now(),
        )

        async def work(session: Any) -> None:
            version = await Conversation.take_place(conversation_id, MAX_MEMBERS, session)
            if version is None:
                raise GroupFull
            self._require_may_add(await Member.of(conversation_id, user_id, session), body.role)
            member.since = member.version = version
            if not await Member.add(member, session):
                raise _DoneBefore

        try:
            await self._change(conversation_id, work)
        except _DoneBefore as lost:
            first = await Member.of(conversation_id, body.user_id)
            if first is None:
                raise RoleChanged from lost
            return first
        return member

    def _require_may_add(self, caller: Member | None, role: Role) -> None:
        if caller is None:
            raise ConversationNotFound
        _require(rules.may_add(caller.role) and (role == "member" or caller.role == "owner"))
        if role == "owner":
            raise Invalid.field("role", "only a member can become owner")

    async def _change_role(self, user_id: Id, member: Member, role: Role) -> None:
        """Give a member another role, if theirs is still the one that was seen."""
        conversation_id = member.conversation

        async def work(session: Any) -> int:
            version = _of_group(await Conversation.advance(conversation_id, session))
            caller = await Member.of(conversation_id, user_id, session)
            if caller is None:
                raise ConversationNotFound
            _require(rules.may_change_roles(caller.role))
            if member.role == "owner":
                raise OwnerStays
            if role == "owner":
                await Member.set_role(caller, "admin", version, session)
            if not await Member.set_role(member, role, version, session):
                raise RoleChanged
            return version

        version = await self._change(conversation_id, work)
        await self._news.roles(conversation_id, version)

    # -- leaving

    async def remove_member(self, user_id: Id, conversation_id: Id, other: Id) -> None:
        """Leave, or remove someone. The longest-serving admin, else member, succeeds an owner who leaves.

        Who asks again after it was done is told that it is, and so is everyone who was not told before.
        """
        try:
            self._require_group(await self._conversations.place(user_id, conversation_id))
            async with self._conversations.turn(conversation_id):
                await self._tell_removed(await self._remove(user_id, conversation_id, other))
        except (ConversationNotFound, PersonAbsent) as gone:
            departure = await Departure.last_of(conversation_id, other)
            may_know = other == user_id or isinstance(gone, PersonAbsent)
            if departure is None or not may_know:
                raise
            async with self._conversations.turn(conversation_id):
                await self._tell_removed(departure)

    async def _remove(self, user_id: Id, conversation_id: Id, other: Id) -> Departure:
        async def work(session: Any) -> Departure:
            version = _of_group(await Conversation.free_place(conversation_id, session))
            caller = await Member.of(conversation_id, user_id, session)
            if caller is None:
                raise ConversationNotFound
            roles = (caller.role,) if other == user_id else rules.removable_by(caller.role)
            _require(bool(roles))
            place = await Member.remove(conversation_id, other, roles, session)
            if place is None:
                present = await Member.of(conversation_id, other, session)
                raise Forbidden if present else PersonAbsent
            heir = await Member.successor(conversation_id, session) if place.role == "owner" else None
            if heir is not None:
                await Member.crown(conversation_id, heir, version, session)
            departure = Departure(
                id=place.id, conversation=conversation_id, user=other, version=version, heir=heir
            )
            await Departure.record(departure, session)
            return departure

        return await self._change(conversation_id, work)

    async def _tell_removed(self, departure: Departure) -> None:
        if not departure.told:
            await self._news.departed(departure)
            if self.on_left is not None:
                await self.on_left(departure.user, departure.conversation)
            await Departure.mark_told(departure.id)

    async def finish_departures(self) -> None:
        """Tell of departures that nobody told of, because a node or the database failed in between."""
        for departure in await Departure.untold(now() - LATE, DEPARTURES_AT_ONCE):
            try:
                async with self._conversations.turn(departure.conversation):
                    await self._tell_removed(departure)
            except Exception as error:
                log.warning("departure_untold", error=type(error).__name__)

    # -- what all of them need

    async def _change(self, conversation_id: Id, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run a transaction. Whatever comes of it, nobody's place is taken from memory afterwards."""
        try:
            return await self._database.transaction(work)
        finally:
            self._conversations.forget_places(conversation_id)

    def _require_group(self, place: Place) -> None:
        if place.is_direct:
            raise NotAGroup


class _DoneBefore(Exception):
    """Somebody else was first: what was asked for is so."""


def _require(allowed: bool) -> None:
    if not allowed:
        raise Forbidden


def _of_group(version: int | None) -> int:
    """The version that a change has made of a group."""
    if version is None:
        raise ConversationNotFound
    return version
