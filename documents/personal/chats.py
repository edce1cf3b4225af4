"""What is left of somebody in conversations that others are in: places without content, and a pseudonym."""

from collections.abc import AsyncIterator
from typing import Any

from beanie import Document

from common.clock import now
from common.ids import Id
from documents.conversations import Conversation, Departure, Member
from documents.friends import Block
from documents.messages import EMPTY, Message
from documents.personal.holdings import AT_ONCE, End, Person, Replace, change_where, delete_where, parts_of
from documents.rows import Raw, rows
from documents.search import MessageWords, WordsRead

_NEXT_REV = {"$add": [{"$ifNull": ["$rev", 0]}, 1]}


class Silence(End):
    """What a person has said is gone, as if they had deleted each message: `seq` stays gapless."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        gone: Raw = {
            path: person.pseudonym,
            "client_id": "$_id",
            **{name: {"$literal": nothing} for name, nothing in {"body_hash": "", **EMPTY}.items()},
            "deleted_at": {"$ifNull": ["$deleted_at", now()]},
            "rev": _NEXT_REV,
        }
        await change_where(kind, {path: person.id}, [{"$set": gone}])


class Unreact(End):
    """Reactions are taken back."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        left = {"k": "$$one.k", "v": _without("$$one.v", person.id)}
        kinds = {"$map": {"input": {"$objectToArray": "$reactions"}, "as": "one", "in": left}}
        taken: Raw = {
            "reactions": {"$arrayToObject": kinds},
            path: _without(f"${path}", person.id),
            "rev": _NEXT_REV,
        }
        await change_where(kind, {path: person.id}, [{"$set": taken}])


def _without(people: str, user_id: Id) -> Raw:
    return {"$filter": {"input": people, "cond": {"$ne": ["$$this", {"$literal": user_id}]}}}


class Closed(End):
    """A direct conversation stays with the other person, closed. When both have gone, it goes, too."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        async for part in directs_of(person.id):
            for conversation in part:
                await _close(conversation, person)


async def _close(conversation: Id, person: Person) -> None:
    for seq in range(0, await Message.head(conversation), AT_ONCE):
        some = {"conversation": conversation, "seq": {"$gt": seq, "$lte": seq + AT_ONCE}, "to": person.id}
        await rows(Message).update_many(some, {"$set": {"to": person.pseudonym}})
    change = {"$pull": {"pair": person.id}, "$addToSet": {"gone": person.pseudonym}}
    await rows(Conversation).update_one({"_id": conversation, "pair": person.id}, change)
    await _forsake({"_id": conversation, "kind": "direct", "pair": []})


class Forsaken(Replace):
    """The group somebody has left stays with the others. When nobody is left, it goes."""

    async def erase(self, kind: type[Document], path: str, person: Person) -> None:
        async for part in parts_of(Departure, {path: person.id}):
            for departure in part:
                await _forsake({"_id": departure["conversation"], "kind": "group", "member_count": 0})
        await super().erase(kind, path, person)


async def _forsake(which: Raw) -> None:
    """Delete a conversation that nobody is in any more."""
    found = await rows(Conversation).find_one(which, {"_id": 1})
    if found is not None:
        await delete_where(Message, {"conversation": found["_id"]})
        await delete_where(MessageWords, {"conversation": found["_id"]})
        await delete_where(WordsRead, {"_id": found["_id"]})
        await rows(Conversation).delete_one(which)


async def directs_of(user_id: Id) -> AsyncIterator[list[Id]]:
    """Somebody's direct conversations, some at a time."""
    async for part in _kind_of(user_id, "direct"):
        yield part


async def unblocked_directs_of(user_id: Id) -> AsyncIterator[list[Id]]:
    """The same, without those that a block hides from the other person."""
    hidden = {Conversation.direct_id(user_id, other) for other in await Block.hidden_from(user_id)}
    async for part in directs_of(user_id):
        yield [conversation for conversation in part if conversation not in hidden]


async def groups_of(user_id: Id) -> list[Id]:
    """The groups somebody is in."""
    return [group async for part in _kind_of(user_id, "group") for group in part]


async def _kind_of(user_id: Id, kind: str) -> AsyncIterator[list[Id]]:
    async for part in parts_of(Member, {"user": user_id}):
        ids = [raw["conversation"] for raw in part]
        which = {"_id": {"$in": ids}, "kind": kind}
        yield [raw["_id"] for raw in await rows(Conversation).find(which, {"_id": 1}).to_list()]


async def in_which(user_id: Id) -> Raw:
    """A condition: conversations in which somebody has a place."""
    places = await rows(Member).find({"user": user_id}, {"conversation": 1}).to_list()
    return {"_id": {"$in": [raw["conversation"] for raw in places]}}


def own_reactions(raw: Raw, user_id: Id) -> Raw:
    """How somebody reacts to a message, if they still do; not what it says."""
    given: dict[str, list[Any]] = raw["reactions"]
    emojis = [emoji for emoji, users in given.items() if user_id in users]
    return {"message": raw["_id"], "conversation": raw["conversation"], "emojis": emojis} if emojis else {}
