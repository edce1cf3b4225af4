"""Telling others that somebody leaves, has stayed, or is gone. Saying it again tells nobody twice."""

from collections.abc import AsyncIterator
from typing import Literal

from common.ids import Id
from documents.personal import Bond, Deletion, bonds_of, groups_of, told_of, unblocked_directs_of
from realtime.channels import Publication
from realtime.features.conversations.schemas import ConversationUpdated
from realtime.features.friends.schemas import FriendAccepted, FriendRemoved, FriendRequest
from realtime.features.personal.schemas import Conversations, Notifications, Updates

Change = Literal["account_left", "account_back", "account_erased"]


class LeavingNews:
    """What friends, those who asked or were asked, and members of conversations hear of it."""

    def __init__(self, updates: Updates, conversations: Conversations, notifications: Notifications) -> None:
        self._updates, self._conversations, self._notifications = updates, conversations, notifications

    async def left(self, deletion: Deletion) -> None:
        """Somebody is absent from now on."""
        async for bond in bonds_of(deletion.user_id):
            gone = FriendRemoved(user_id=deletion.user_id)
            await self._updates.append([bond.other], gone, key=self._key(deletion, "left"))
        await self._reconsider(deletion)
        await self._tell(deletion, "account_left")

    async def back(self, deletion: Deletion) -> None:
        """Somebody has stayed, and what they had with others stands."""
        async for bond in bonds_of(deletion.user_id):
            said = _standing(bond, deletion.user_id)
            await self._updates.append([bond.other], said, key=self._key(deletion, "back"))
        await self._reconsider(deletion)
        await self._tell(deletion, "account_back")

    async def erased(self, deletion: Deletion) -> None:
        """What somebody has said is about to be gone."""
        await self._reconsider(deletion)
        await self._tell(deletion, "account_erased")

    async def _reconsider(self, deletion: Deletion) -> None:
        """What somebody did goes from the lists of others, or comes back to them."""
        for other in await told_of(deletion.user_id):
            await self._notifications.reconsider(other, deletion.user_id)

    async def _tell(self, deletion: Deletion, change: Change) -> None:
        async for conversation, kind in _conversations_of(deletion.user_id):
            said = ConversationUpdated(
                conversation_id=conversation, change=change, kind=kind, user_id=deletion.user_id
            )
            key = self._key(deletion, f"{change}:{conversation}")
            await self._conversations.tell(conversation, said, key)

    def _key(self, deletion: Deletion, what: str) -> str:
        return f"{what}:{deletion.id}:{deletion.round}"


def _standing(bond: Bond, user_id: Id) -> Publication:
    """What two people have, as the other one heard of it when it began."""
    if bond.state == "accepted":
        return FriendAccepted(user_id=user_id, since=bond.changed_at)
    from_id, to_id = (user_id, bond.other) if bond.asked_by == user_id else (bond.other, user_id)
    return FriendRequest(from_id=from_id, to_id=to_id, created_at=bond.asked_at)


async def _conversations_of(user_id: Id) -> AsyncIterator[tuple[Id, Literal["direct", "group"]]]:
    async for part in unblocked_directs_of(user_id):
        for conversation in part:
            yield conversation, "direct"
    for group in await groups_of(user_id):
        yield group, "group"
