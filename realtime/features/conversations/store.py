"""Rows of conversation lists as the wire shows them."""

from collections.abc import Mapping, Sequence

from common.ids import Id
from documents.conversations import Member, Row
from realtime.features.conversations.schemas import ConversationOut, MemberOut, Person, Role


def shown(row: Row, listed: Sequence[Member], cards: Mapping[Id, Person]) -> ConversationOut:
    """A conversation as the member of `row` sees it. `listed` was read after the row."""
    member, conversation = row.member, row.conversation
    last = row.last_message["created_at"] if row.last_message else conversation.last_at
    return ConversationOut(
        id=conversation.id,
        kind=conversation.kind,
        name=conversation.name,
        version=conversation.version,
        members=[_member(one, cards) for one in listed],
        member_count=conversation.member_count,
        role=_role(member, listed),
        muted=member.muted,
        seq=row.seq,
        read_seq=row.read_seq,
        unread=max(0, row.seq - row.read_seq),
        created_at=conversation.created_at,
        last_at=max(conversation.last_at, last),
    )


def _role(member: Member, listed: Sequence[Member]) -> Role:
    """The role of a member, never an older one than the shown version has."""
    for one in listed:
        if one.id == member.id:
            return one.role
    return member.role


def _member(member: Member, cards: Mapping[Id, Person]) -> MemberOut:
    card = cards.get(member.user)
    return MemberOut(
        user_id=member.user,
        name=card.name if card else "",
        handle=card.handle if card else "",
        avatar=card.avatar if card else None,
        role=member.role,
        read_seq=member.read_seq,
        delivered_seq=max(member.delivered_seq, member.read_seq),
        joined_at=member.joined_at,
    )
