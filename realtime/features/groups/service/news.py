"""Telling what has happened to groups. Every telling has a key: doing it again says nothing twice."""

from collections.abc import Sequence

from common.ids import Id
from documents.conversations import Conversation, Departure, Member
from realtime import channels
from realtime.features.conversations import ConversationService
from realtime.features.conversations.schemas import ConversationUpdated
from realtime.features.updates import UpdateService


class GroupNews:
    """Says what stands in the database, so that a retry after a failure heals what was not said."""

    def __init__(self, conversations: ConversationService, updates: UpdateService) -> None:
        self._conversations, self._updates = conversations, updates

    async def founded(self, group_id: Id) -> None:
        """Tell those who are in a group from the beginning."""
        await self._joined(group_id, await Member.founders(group_id), f"created:{group_id}")

    async def placed(self, member: Member) -> None:
        """Tell of a person's place: that they came, or which role they have now."""
        group_id = member.conversation
        if member.since == 1:
            await self._joined(group_id, [member], f"created:{group_id}")
        else:
            await self._joined(group_id, [member], f"joined:{member.id}")
        if member.version > member.since:
            await self.roles(group_id, member.version)
        elif member.since > 1:
            added = ConversationUpdated(
                conversation_id=group_id,
                change="member_added",
                version=member.since,
                user_id=member.user,
                role=member.role,
            )
            await self._conversations.tell(group_id, added, f"added:{member.id}")

    async def roles(self, group_id: Id, version: int) -> None:
        """Tell which roles this version of the group has changed; a new owner comes last."""
        changed = await Member.changed_by(group_id, version)
        for member in sorted(changed, key=lambda member: member.role == "owner"):
            role = ConversationUpdated(
                conversation_id=group_id,
                change="role_changed",
                version=version,
                user_id=member.user,
                role=member.role,
            )
            await self._conversations.tell(group_id, role, f"role:{member.id}:{version}")

    async def renamed(self, group_id: Id, name: str, version: int) -> None:
        renamed = ConversationUpdated(conversation_id=group_id, change="renamed", name=name, version=version)
        await self._conversations.tell(group_id, renamed, f"renamed:{group_id}:{version}")

    async def departed(self, departure: Departure) -> None:
        """Tell who left, and who succeeded them. Whoever has come back meanwhile goes on listening."""
        group_id, user_id = departure.conversation, departure.user
        if await Member.of(group_id, user_id) is None:
            await self._left(departure, f"left:{departure.id}")
            back = await Member.of(group_id, user_id)
            if back is not None:
                await self._joined(group_id, [back], f"rejoined:{departure.id}")
        await self._conversations.tell(group_id, _removed(departure), f"removed:{departure.id}")
        if departure.heir is not None:
            await self.roles(group_id, departure.version)

    async def _joined(self, group_id: Id, members: Sequence[Member], key: str) -> None:
        """Let people listen. Another node may have removed them meanwhile, and have told so before us."""
        group = await Conversation.get(group_id)
        if group is None or not members:
            return
        heard = min(member.delivered_seq for member in members)
        created = ConversationUpdated(
            conversation_id=group_id, change="created", name=group.name, version=members[0].since
        )
        await self._updates.append(
            [member.user for member in members],
            created,
            key=key,
            join=(channels.conversation(group_id), heard),
        )
        for departure in await Departure.from_places([member.id for member in members]):
            await self._left(departure, f"unjoined:{departure.id}")

    async def _left(self, departure: Departure, key: str) -> None:
        channel = channels.conversation(departure.conversation)
        await self._updates.append([departure.user], _removed(departure), key=key, leave=channel)


def _removed(departure: Departure) -> ConversationUpdated:
    return ConversationUpdated(
        conversation_id=departure.conversation,
        change="member_removed",
        version=departure.version,
        user_id=departure.user,
    )
