"""What people can do with groups. Membership changes are transactions; logs tell everyone concerned."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from common.clock import now
from common.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from common.ids import Id, new_id
from documents.conversations import Conversation, Member
from realtime import channels
from realtime.features.conversations import ConversationService, Place
from realtime.features.conversations.schemas import (
    ConversationChange,
    ConversationOut,
    ConversationUpdated,
    GroupIn,
    MemberIn,
    Role,
)
from realtime.features.conversations.service import Blocks, ConversationNotFound, People
from realtime.features.groups import rules
from realtime.features.updates import UpdateService

T = TypeVar("T")

MAX_MEMBERS = 5000


class NotAGroup(Conflict):
    code, text = "not_a_group", "A direct conversation has exactly its two people."


class GroupFull(Conflict):
    code, text = "group_full", "The group has as many members as it can have."


class PersonNotFound(NotFound):
    text = "There is no such person."


class OwnerStays(Conflict):
    code, text = "owner_stays", "The owner keeps the role until handing it over."


class Transactions(Protocol):
    async def transaction(self, work: Callable[[Any], Awaitable[T]]) -> T: ...


class GroupService:
    """Groups and their members."""

    def __init__(
        self,
        database: Transactions,
        conversations: ConversationService,
        people: People,
        blocks: Blocks,
        updates: UpdateService,
    ) -> None:
        self._database, self._conversations, self._updates = database, conversations, updates
        self._people, self._blocks = people, blocks

    async def create(self, user_id: Id, body: GroupIn) -> ConversationOut:
        """Found a group and be its owner."""
        others = [one for one in dict.fromkeys(body.member_ids) if one != user_id]
        for other in others:
            await self._require_reachable(user_id, other)
        group = Conversation(kind="group", name=body.name, created_by=user_id, member_count=1 + len(others))
        members = [Member(conversation=group.id, user=user_id, role="owner")]
        members += [Member(conversation=group.id, user=other) for other in others]
        await Conversation.create_group(group, members)
        created = ConversationUpdated(conversation_id=group.id, change="created", name=body.name)
        channel = channels.conversation(group.id)
        await self._updates.append([user_id, *others], created, key=f"created:{group.id}", join=(channel, 0))
        return await self._conversations.show(user_id, group.id)

    async def change(self, user_id: Id, conversation_id: Id, body: ConversationChange) -> ConversationOut:
        """Rename the group, or mute a conversation for oneself."""
        place = await self._conversations.place(user_id, conversation_id)
        if body.name is not None:
            self._require_group(place)
            _require(rules.may_rename(place.role))
            await Conversation.rename(conversation_id, body.name)
            renamed = ConversationUpdated(conversation_id=conversation_id, change="renamed", name=body.name)
            await self._conversations.tell(conversation_id, renamed, f"renamed:{new_id()}")
        if body.muted is not None:
            await Member.set_muted(conversation_id, user_id, body.muted)
            kind = "direct" if place.other else "group"
            muted = ConversationUpdated(
                conversation_id=conversation_id, change="muted", muted=body.muted, kind=kind
            )
            await self._updates.append([user_id], muted)
        return await self._conversations.show(user_id, conversation_id)

    async def set_member(self, user_id: Id, conversation_id: Id, body: MemberIn) -> ConversationOut:
        """Add a person, or change a member's role; the role `owner` hands the group over."""
        place = await self._conversations.place(user_id, conversation_id)
        self._require_group(place)
        present = await Member.of(conversation_id, body.user_id)
        if present is None:
            _require(rules.may_add(place.role) and (body.role == "member" or place.role == "owner"))
            if body.role == "owner":
                raise Invalid.field("role", "only a member can become owner")
            await self._require_reachable(user_id, body.user_id)
            await self._add(conversation_id, body)
        elif present.role != body.role:
            _require(rules.may_change_roles(place.role))
            await self._change_role(place, present, body.role)
        self._conversations.forget_places(conversation_id)
        return await self._conversations.show(user_id, conversation_id)

    async def _add(self, conversation_id: Id, body: MemberIn) -> None:
        conversation = await Conversation.get(conversation_id)
        if conversation is None:
            raise ConversationNotFound
        seq = await self._conversations.head(conversation_id)
        member = Member(
            conversation=conversation_id,
            user=body.user_id,
            role=body.role,
            read_seq=seq,
            delivered_seq=seq,
            joined_at=now(),
        )

        async def work(session: Any) -> bool:
            if not await Conversation.take_place(conversation_id, MAX_MEMBERS, session):
                raise GroupFull
            if not await Member.add(member, session):
                raise _AlreadyMember
            return True

        try:
            await self._database.transaction(work)
        except _AlreadyMember:
            return
        await self._updates.append(
            [body.user_id],
            ConversationUpdated(conversation_id=conversation_id, change="created", name=conversation.name),
            key=f"joined:{member.id}",
            join=(channels.conversation(conversation_id), seq),
        )
        added = ConversationUpdated(
            conversation_id=conversation_id, change="member_added", user_id=body.user_id, role=body.role
        )
        await self._conversations.tell(conversation_id, added, f"added:{member.id}")

    async def _change_role(self, place: Place, member: Member, role: Role) -> None:
        if member.role == "owner":
            raise OwnerStays

        async def work(session: Any) -> bool:
            if role == "owner" and not await Member.swap_owner(
                place.conversation_id, place.user_id, member.user, session
            ):
                raise Conflict
            return role == "owner" or await Member.set_role(place.conversation_id, member.user, role, session)

        await self._database.transaction(work)
        changed = ConversationUpdated(
            conversation_id=place.conversation_id, change="role_changed", user_id=member.user, role=role
        )
        await self._conversations.tell(place.conversation_id, changed, f"role:{new_id()}")

    async def remove_member(self, user_id: Id, conversation_id: Id, other: Id) -> None:
        """Leave, or remove someone. The longest-serving admin, else member, succeeds an owner who leaves."""
        place = await self._conversations.place(user_id, conversation_id)
        self._require_group(place)
        leaving = other == user_id
        roles: tuple[Role, ...] = (place.role,) if leaving else rules.removable_by(place.role)
        _require(bool(roles))

        async def work(session: Any) -> Id | None:
            if not await Member.remove(conversation_id, other, roles, session):
                raise await self._why_not_removed(conversation_id, other)
            await Conversation.free_place(conversation_id, session)
            if not leaving or place.role != "owner":
                return None
            heir = await Member.successor(conversation_id, other, session)
            if heir is not None:
                await Member.set_role(conversation_id, heir, "owner", session)
            return heir

        heir = await self._database.transaction(work)
        self._conversations.forget_places(conversation_id)
        await self._tell_removed(conversation_id, other, heir)

    async def _tell_removed(self, conversation_id: Id, other: Id, heir: Id | None) -> None:
        removed = ConversationUpdated(conversation_id=conversation_id, change="member_removed", user_id=other)
        await self._updates.append([other], removed, leave=channels.conversation(conversation_id))
        await self._conversations.tell(conversation_id, removed, f"removed:{new_id()}")
        if heir is not None:
            owner = ConversationUpdated(
                conversation_id=conversation_id, change="role_changed", user_id=heir, role="owner"
            )
            await self._conversations.tell(conversation_id, owner, f"role:{new_id()}")

    async def _why_not_removed(self, conversation_id: Id, other: Id) -> AppError:
        present = await Member.of(conversation_id, other)
        return Forbidden() if present else PersonNotFound()

    async def _require_reachable(self, user_id: Id, other: Id) -> None:
        if await self._blocks.blocked_between(user_id, other) or not await self._people.exists(other):
            raise PersonNotFound

    def _require_group(self, place: Place) -> None:
        if place.other is not None:
            raise NotAGroup


class _AlreadyMember(Exception):
    """Somebody else added the person first: what was asked for is so."""


def _require(allowed: bool) -> None:
    if not allowed:
        raise Forbidden
