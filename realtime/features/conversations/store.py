"""Rows of conversation lists as the wire shows them, and what hardly ever changes of conversations."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from time import monotonic

from common.ids import Id
from documents.conversations import Conversation, Member, Row
from realtime.features.conversations.schemas import ConversationOut, MemberOut, Person, Role

OUTLINE_SECONDS = 30.0
ABSENT = "Deleted account"
"""The name of members who do not take part any more."""


class Outlines:
    """The two people of conversations (nobody for a group) that have begun: until one is erased."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Id, tuple[float, tuple[list[Id], bool]]] = OrderedDict()

    async def find(self, conversation_id: Id) -> tuple[list[Id], bool] | None:
        """The people, and whether it has begun; until it has, it is looked up each time."""
        until, known = self._known.get(conversation_id, (0.0, None))
        if known is not None and until > monotonic():
            return known
        until = monotonic() + OUTLINE_SECONDS
        outline = await Conversation.outline(conversation_id)
        if outline is not None and outline[1]:
            self._known[conversation_id] = (until, outline)
            self._known.move_to_end(conversation_id)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return outline


def shown(row: Row, listed: Sequence[Member], cards: Mapping[Id, Person]) -> ConversationOut:
    """A conversation as the member of `row` sees it. `listed` was read after the row."""
    member, conversation = row.member, row.conversation
    last = row.last_message["created_at"] if row.last_message else conversation.last_at
    return ConversationOut(
        id=conversation.id,
        kind=conversation.kind,
        name=conversation.name,
        version=conversation.version,
        members=[*(_member(one, cards) for one in listed), *_gone(row)],
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


def _gone(row: Row) -> list[MemberOut]:
    """Who stands for the other person of a direct conversation whose account was erased."""
    since = row.conversation.created_at
    return [
        MemberOut(user_id=one, name=ABSENT, role="member", read_seq=0, delivered_seq=0, joined_at=since)
        for one in row.conversation.gone
    ]


def _member(member: Member, cards: Mapping[Id, Person]) -> MemberOut:
    card = cards.get(member.user)
    return MemberOut(
        user_id=member.user,
        name=card.name if card else ABSENT,
        handle=card.handle if card else "",
        avatar=card.avatar if card else None,
        role=member.role,
        read_seq=member.read_seq,
        delivered_seq=max(member.delivered_seq, member.read_seq),
        joined_at=member.joined_at,
    )
