"""What people do with each other: ask, accept, part, block."""

import asyncio
from collections.abc import Mapping
from typing import Any

from common.errors import Forbidden, Invalid, NotFound
from common.ids import Id
from documents.friends import Block, Friendship
from realtime.features.friends import rules
from realtime.features.friends.schemas import (
    BlockedOut,
    Direction,
    Earnings,
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
from realtime.features.friends.service.teller import Teller
from realtime.features.notifications.schemas import Notifier
from realtime.order import Turns
from realtime.policy import Outcome, PersonAbsent, Policy, Verb

LISTED_MUTUAL = 100
_ACCEPTED = {"state": "accepted"}


class RequestNotFound(NotFound):
    text = "There is no such request."


class NotFriends(NotFound):
    text = "You are not friends."


class NotYourself(Forbidden):
    code, text = "wrong_actor", "You can only act as yourself."


class FriendService:
    """Friendships, requests and blocks. Who is blocked, either way, is to the other as if absent."""

    def __init__(
        self, people: People, updates: Updates, policy: Policy, notifier: Notifier, earnings: Earnings
    ) -> None:
        self._people, self._policy = people, policy
        self._news = FriendNews(people, updates, notifier)
        self._turns = Turns()
        self.teller = Teller(self._news, earnings)

    # -- what the other features ask

    async def friend_ids(self, user_id: Id) -> set[Id]:
        return await Friendship.friend_ids(user_id)

    async def relation(self, viewer: Id, user_id: Id) -> RelationState:
        """What two people are to each other."""
        return "self" if viewer == user_id else _state_for(viewer, await Friendship.between(viewer, user_id))

    async def mutual_ids(self, viewer: Id, user_id: Id) -> set[Id]:
        """Friends that both have, as far as `viewer` may know of them."""
        theirs, mine = await asyncio.gather(self.friend_ids(user_id), self.friend_ids(viewer))
        both = theirs & mine
        return await self._policy.among(viewer, Verb.SEE_PROFILE, both) if both else both

    async def mutual_count(self, viewer: Id, user_id: Id) -> int:
        return len(await self.mutual_ids(viewer, user_id))

    # -- requests

    async def request(self, user_id: Id, other_id: Id) -> RelationOut:
        """Ask someone to be friends; when they have asked already, this makes friends."""
        await self._require(user_id, Verb.BEFRIEND, other_id)
        async with self._turns.of(user_id):
            with rules.saying_what_is_too_much():
                edge, is_new = await Friendship.ask(user_id, other_id, rules.room())
        if is_new and not await self._policy.can(user_id, Verb.BEFRIEND, other_id):
            await Friendship.end(user_id, other_id)  # a block came between the check and the write
            await self.teller.tell(user_id, other_id)
            raise PersonAbsent
        if is_new:
            await self.teller.tell(user_id, other_id)
        return RelationOut(user_id=other_id, state=_state_for(user_id, edge))

    async def accept(self, user_id: Id, asked_by: Id) -> RelationOut:
        """Say yes to a request; saying it again changes nothing."""
        await self._require(user_id, Verb.BEFRIEND, asked_by)
        async with self._turns.of(user_id):
            with rules.saying_what_is_too_much():
                found = await Friendship.accept(user_id, asked_by, rules.room())
        if found is None:
            raise RequestNotFound
        if found[1]:
            await self.teller.tell(user_id, asked_by)
        return RelationOut(user_id=asked_by, state="friends")

    async def reject(self, user_id: Id, asked_by: Id) -> RelationOut:
        """Say no to a request."""
        await self._require(user_id, Verb.BEFRIEND, asked_by)
        edge = await Friendship.end(user_id, asked_by, state="pending", asked_by=asked_by)
        return await self._part(user_id, asked_by, edge, RequestNotFound)

    async def cancel(self, user_id: Id, asked: Id) -> RelationOut:
        """Take one's own request back."""
        await self._require(user_id, Verb.BEFRIEND, asked)
        edge = await Friendship.end(user_id, asked, state="pending", asked_by=user_id)
        return await self._part(user_id, asked, edge, RequestNotFound)

    async def remove(self, user_id: Id, friend_id: Id) -> RelationOut:
        """End a friendship."""
        await self._require(user_id, Verb.BEFRIEND, friend_id)
        edge = await Friendship.end(user_id, friend_id, state="accepted")
        return await self._part(user_id, friend_id, edge, NotFriends)

    async def request_by_name(self, user_id: Id, asker: str, asked: str) -> RelationOut:
        """The same by usernames; the caller is who asks."""
        await self._require_self(user_id, asker)
        return await self.request(user_id, (await self._named(asked)).id)

    async def accept_by_name(self, user_id: Id, asker: str, asked: str) -> RelationOut:
        """The same by usernames; the caller is who was asked."""
        await self._require_self(user_id, asked)
        return await self.accept(user_id, (await self._named(asker)).id)

    async def _part(
        self, user_id: Id, other: Id, ended: Friendship | None, missing: type[NotFound]
    ) -> RelationOut:
        if ended is None:
            raise missing
        await self.teller.tell(user_id, other)
        return RelationOut(user_id=other, state="none")

    # -- blocks

    async def block(self, user_id: Id, other_id: Id) -> RelationOut:
        """Have nothing to do with someone any more; they hear only that a friendship or request has ended."""
        await self._require(user_id, Verb.BLOCK, other_id)
        try:
            with rules.saying_what_is_too_much():
                block = await Block.place(user_id, other_id, rules.MAX_BLOCKED)
        finally:
            self._policy.forget(user_id, other_id)
        if await Friendship.end(user_id, other_id) is not None:
            await self.teller.tell(user_id, other_id)
        await self._news.blocked(block)
        return RelationOut(user_id=other_id, state="none")

    async def unblock(self, user_id: Id, other_id: Id) -> RelationOut:
        """Take a block back; what it ended stays ended."""
        try:
            lifted = await Block.lift(user_id, other_id)
        finally:
            self._policy.forget(user_id, other_id)
        if lifted:
            await self._news.unblocked(user_id, other_id)
        else:
            await self._require(user_id, Verb.UNBLOCK, other_id)
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
        person = await self._named(username)
        await self._require_visible_friends(viewer, person.id)
        shown = await self.friend_ids(person.id) - await self._policy.hidden_ids(viewer)
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
        hidden = await self._policy.hidden_ids(viewer)
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
        """Friends that the caller and this person share, when the caller may see that person's."""
        _refuse_self(viewer, user_id)
        await self._require_visible_friends(viewer, user_id)
        ids = await self.mutual_ids(viewer, user_id)
        people = await self._people.many(sorted(ids)[:LISTED_MUTUAL])
        return MutualOut(count=len(ids), users=[PersonCard.of(person) for person in people.values()])

    # -- checks

    async def _require(self, user_id: Id, verb: Verb, other_id: Id) -> None:
        """Refuse what the policy does not allow, and what nobody does to themselves."""
        _refuse_self(user_id, other_id)
        await self._policy.require(user_id, verb, other_id)

    async def _named(self, username: str) -> Person:
        """The person of that name; whether the caller may know of them is asked next."""
        person = await self._people.by_username(username)
        if person is None:
            raise PersonAbsent
        return person

    async def _require_self(self, user_id: Id, username: str) -> None:
        """Refuse to act under another's name."""
        person = await self._people.by_username(username)
        if person is None or person.id != user_id:
            raise NotYourself

    async def _require_visible_friends(self, viewer: Id, user_id: Id) -> None:
        found = await self._policy.outcome(viewer, Verb.SEE_FRIENDS, user_id)
        if found is Outcome.ABSENT:
            raise PersonAbsent
        if found is Outcome.REFUSED:
            raise rules.FriendsHidden


def _refuse_self(user_id: Id, other_id: Id) -> None:
    if user_id == other_id:
        raise Invalid.field("userId", "cannot be yourself")


def _state_for(user: Id, edge: Friendship | None) -> RelationState:
    if edge is None:
        return "none"
    if edge.state == "accepted":
        return "friends"
    return "request_sent" if edge.asked_by == user else "request_received"
