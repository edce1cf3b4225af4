"""What people do with each other: ask, accept, part, block."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from common.errors import Forbidden, Invalid, NotFound
from common.ids import Id
from documents.friends import Block, Friendship
from realtime.features.friends import rules, store
from realtime.features.friends.schemas import (
    BlockedOut,
    Direction,
    FriendOut,
    MutualOut,
    People,
    Person,
    PersonCard,
    RelationOut,
    RelationState,
    RequestOut,
    Rows,
    Updates,
    Window,
)
from realtime.features.friends.service.news import FriendNews
from realtime.features.friends.store import Blocks

LISTED_MUTUAL = 100
_ACCEPTED = {"state": "accepted"}


class PersonNotFound(NotFound):
    text = "There is no such person."


class RequestNotFound(NotFound):
    text = "There is no such request."


class NotFriends(NotFound):
    text = "You are not friends."


class NotYourself(Forbidden):
    code, text = "wrong_actor", "You can only act as yourself."


class FriendService:
    """Friendships, requests and blocks. Who is blocked, either way, is to the other as if absent."""

    def __init__(self, people: People, updates: Updates, blocks: Blocks) -> None:
        self._people, self._news, self._blocks = people, FriendNews(updates), blocks

    # -- what the other features ask

    async def friend_ids(self, user_id: Id) -> set[Id]:
        return await Friendship.friend_ids(user_id)

    async def relation(self, viewer: Id, user_id: Id) -> RelationState:
        """What two people are to each other, as `viewer` may know it."""
        if viewer == user_id:
            return "self"
        found, blocked = await asyncio.gather(
            Friendship.between(viewer, user_id), self.blocked_between(viewer, user_id)
        )
        return "none" if blocked else _state_for(viewer, found)

    async def blocked_between(self, one: Id, other: Id) -> bool:
        """Whether either has blocked the other, as it was at most 1.5 s ago."""
        return await self._blocks.between(one, other)

    async def hidden_ids(self, viewer: Id) -> set[Id]:
        """Everyone who is as if absent for `viewer`."""
        return await Block.hidden_from(viewer)

    async def friends_among(self, viewer: Id, user_ids: Collection[Id]) -> set[Id]:
        """Those of `user_ids` who are friends, without anyone a block stands between."""
        return await store.friends_among(viewer, user_ids)

    async def audiences(self, user_ids: Collection[Id]) -> dict[Id, set[Id]]:
        """For each person their friends, without anyone a block stands between."""
        return await store.audiences(user_ids)

    async def mutual_ids(self, viewer: Id, user_id: Id) -> set[Id]:
        """Friends that both have."""
        theirs, mine = await asyncio.gather(self.friend_ids(user_id), self.friend_ids(viewer))
        return theirs & mine

    async def mutual_count(self, viewer: Id, user_id: Id) -> int:
        return len(await self.mutual_ids(viewer, user_id))

    # -- requests

    async def request(self, user_id: Id, other_id: Id) -> RelationOut:
        """Ask someone to be friends; when they have asked already, this makes friends."""
        await self._require_person(user_id, other_id)
        await self._require_room(user_id)
        edge = await Friendship.ask(user_id, other_id)
        if await self._blocks.between_now(user_id, other_id):  # a block came between the check and the write
            await Friendship.end(user_id, other_id)
            raise PersonNotFound
        await self._news.changed(edge)
        return RelationOut(user_id=other_id, state=_state_for(user_id, edge))

    async def accept(self, user_id: Id, asked_by: Id) -> RelationOut:
        """Say yes to a request; saying it again changes nothing."""
        await self._require_person(user_id, asked_by)
        rules.require_room(await Friendship.count_of(user_id, _ACCEPTED))
        edge = await Friendship.accept(user_id, asked_by)
        if edge is None:
            raise RequestNotFound
        await self._news.changed(edge)
        return RelationOut(user_id=asked_by, state="friends")

    async def reject(self, user_id: Id, asked_by: Id) -> RelationOut:
        """Say no to a request."""
        await self._require_person(user_id, asked_by)
        edge = await Friendship.end(user_id, asked_by, state="pending", asked_by=asked_by)
        return await self._part(edge, asked_by, RequestNotFound)

    async def cancel(self, user_id: Id, asked: Id) -> RelationOut:
        """Take one's own request back."""
        await self._require_person(user_id, asked)
        edge = await Friendship.end(user_id, asked, state="pending", asked_by=user_id)
        return await self._part(edge, asked, RequestNotFound)

    async def remove(self, user_id: Id, friend_id: Id) -> RelationOut:
        """End a friendship."""
        await self._require_person(user_id, friend_id)
        edge = await Friendship.end(user_id, friend_id, state="accepted")
        return await self._part(edge, friend_id, NotFriends)

    async def request_by_name(self, user_id: Id, asker: str, asked: str) -> RelationOut:
        """The same by usernames; the caller is who asks."""
        await self._require_self(user_id, asker)
        return await self.request(user_id, (await self.by_username(user_id, asked)).id)

    async def accept_by_name(self, user_id: Id, asker: str, asked: str) -> RelationOut:
        """The same by usernames; the caller is who was asked."""
        await self._require_self(user_id, asked)
        return await self.accept(user_id, (await self.by_username(user_id, asker)).id)

    async def _part(self, edge: Friendship | None, other: Id, missing: type[NotFound]) -> RelationOut:
        if edge is None:
            raise missing
        await self._news.ended(edge)
        return RelationOut(user_id=other, state="none")

    async def by_username(self, user_id: Id, username: str) -> Person:
        """The person of that name, unless absent for the caller."""
        person = await self._people.by_username(username)
        if person is None or await self.blocked_between(user_id, person.id):
            raise PersonNotFound
        return person

    # -- blocks

    async def block(self, user_id: Id, other_id: Id) -> RelationOut:
        """Have nothing to do with someone any more; they hear only that a friendship or request has ended."""
        await self._require_blockable(user_id, other_id)
        rules.require_room_for_block(await Block.count_of(user_id))
        block = await self._blocks.place(user_id, other_id)
        edge = await Friendship.end(user_id, other_id)
        if edge is not None:
            await self._news.ended(edge)
        await self._news.blocked(block)
        return RelationOut(user_id=other_id, state="none")

    async def unblock(self, user_id: Id, other_id: Id) -> RelationOut:
        """Take a block back; what it ended stays ended."""
        if await self._blocks.lift(user_id, other_id):
            await self._news.unblocked(user_id, other_id)
        else:
            await self._require_person(user_id, other_id)
        return RelationOut(user_id=other_id, state="none")

    # -- lists

    async def friends_of(self, viewer: Id, user_id: Id, window: Window) -> Rows[FriendOut]:
        """Someone's friends, when their privacy lets `viewer` see them."""
        await self._require_visible_friends(viewer, user_id)
        edges = await self._edges(viewer, user_id, _ACCEPTED, window)
        items = [FriendOut(user=card, since=edge.changed_at) for edge, card in edges.items]
        return Rows(items, edges.total, edges.next)

    async def friend_names(self, viewer: Id, username: str) -> list[str]:
        """The usernames of someone's friends, when their privacy lets `viewer` see them."""
        person = await self.by_username(viewer, username)
        await self._require_visible_friends(viewer, person.id)
        shown = await self.friend_ids(person.id) - await self.hidden_ids(viewer)
        return sorted(friend.username for friend in (await self._people.many(shown)).values())

    async def requests(self, user_id: Id, direction: Direction, window: Window) -> Rows[RequestOut]:
        """Requests that wait for the caller's answer, or for that of others."""
        mine = user_id if direction == "outgoing" else {"$ne": user_id}
        edges = await self._edges(user_id, user_id, {"state": "pending", "asked_by": mine}, window)
        items = [
            RequestOut(user=card, direction=direction, created_at=edge.asked_at) for edge, card in edges.items
        ]
        return Rows(items, edges.total, edges.next)

    async def blocked(self, user_id: Id, window: Window) -> Rows[BlockedOut]:
        """Whom the caller has blocked."""
        rows, total = await asyncio.gather(
            Block.page(user_id, window.limit + 1, before=window.before, skip=window.skip),
            Block.count_of(user_id),
        )
        people = await self._people.many([row.blocked for row in rows])
        shown = [(row, people.get(row.blocked)) for row in rows[: window.limit]]
        items = [BlockedOut(user=PersonCard.of(person), since=row.at) for row, person in shown if person]
        return Rows(items, total, window.cut([(row.at, row.id) for row in rows]))

    async def _edges(
        self, viewer: Id, user_id: Id, only: Mapping[str, Any], window: Window
    ) -> Rows[tuple[Friendship, PersonCard]]:
        """Someone's friendships or requests with the people at the other end, without those hidden."""
        hidden = await self.hidden_ids(viewer)
        where = {**only, "$nor": [{"pair": {"$in": list(hidden)}}]}
        rows, total = await asyncio.gather(
            Friendship.page(user_id, where, window.limit + 1, before=window.before, skip=window.skip),
            Friendship.count_of(user_id, where),
        )
        people = await self._people.many([row.other(user_id) for row in rows])
        shown = [(row, people.get(row.other(user_id))) for row in rows[: window.limit]]
        items = [(row, PersonCard.of(person)) for row, person in shown if person is not None]
        return Rows(items, total, window.cut([(row.changed_at, row.id) for row in rows]))

    async def mutual(self, viewer: Id, user_id: Id) -> MutualOut:
        """Friends that the caller and this person share."""
        await self._require_person(viewer, user_id)
        ids = await self.mutual_ids(viewer, user_id)
        people = await self._people.many(sorted(ids)[:LISTED_MUTUAL])
        return MutualOut(count=len(ids), users=[PersonCard.of(person) for person in people.values()])

    # -- checks

    async def _require_person(self, user_id: Id, other_id: Id) -> Person:
        """The other person; raises `PersonNotFound` for who is absent, or as if."""
        if user_id == other_id:
            raise Invalid.field("userId", "cannot be yourself")
        person = await self._people.get(other_id)
        if person is None or await self._blocks.between_now(user_id, other_id):
            raise PersonNotFound
        return person

    async def _require_self(self, user_id: Id, username: str) -> None:
        """Refuse to act under another's name."""
        person = await self._people.by_username(username)
        if person is None or person.id != user_id:
            raise NotYourself

    async def _require_blockable(self, user_id: Id, other_id: Id) -> None:
        """Like `_require_person`, but one may block again whom one has blocked."""
        if await Block.exists(user_id, other_id):
            return
        await self._require_person(user_id, other_id)

    async def _require_room(self, user_id: Id) -> None:
        rules.require_room(
            await Friendship.count_of(user_id, _ACCEPTED),
            await Friendship.count_of(user_id, {"state": "pending", "asked_by": user_id}),
        )

    async def _require_visible_friends(self, viewer: Id, user_id: Id) -> None:
        if viewer == user_id:
            return
        person = await self._require_person(viewer, user_id)
        rules.require_friends_shown(person.privacy, await self.relation(viewer, user_id))


def _state_for(user: Id, edge: Friendship | None) -> RelationState:
    if edge is None:
        return "none"
    if edge.state == "accepted":
        return "friends"
    return "request_sent" if edge.asked_by == user else "request_received"
