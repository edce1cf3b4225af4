"""A town for the search benchmark: everybody in it, who knows whom, and what two hundred of them said."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pymongo
from beanie import Document

from common.clock import now
from common.ids import Id
from documents.accounts import User, claims_of
from documents.database import Database
from documents.friends import Friendship
from documents.rows import rows
from documents.search import MessageWords
from loadtests.search_people import Profile, profiles
from loadtests.search_talk import talk
from realtime.features.accounts.rules import finding
from realtime.features.accounts.schemas import handles

BATCH = 2000
GRAMS = {User: "search_grams_1_handle_key_1", MessageWords: "conversation_1_grams_1_at_-1__id_-1"}
INDEX_WITHIN = 120
KNOWN = 5000
"""So many of the people have friends; all others are only there to be found."""
FRIENDS = 50


async def fill(mongo_url: str, name: str, people: int, searchers: Sequence[Id]) -> None:
    """Put people and friendships into a database.

    Each searcher has more friends than the one before: from a few hundred to as many as one can have.
    """
    database = Database(mongo_url, name)
    await database.open(indexes=False)
    try:
        for kind, index in GRAMS.items():  # made again at the end, which is quicker than one by one
            await rows(kind).drop_index(index)
        known: list[Id] = []
        for batch in _batches(_person(profile) for profile in profiles(people)):
            known += [raw["_id"] for raw in batch][: KNOWN - len(known)]
            await rows(User).insert_many(batch, ordered=False)
        dice = random.Random(2)
        edges = {Friendship.id_of(*pair): pair for pair in _pairs(dice, known, searchers)}
        for batch in _batches(_friendship(pair, dice) for pair in edges.values()):
            await rows(Friendship).insert_many(batch, ordered=False)
        await talk(database, searchers)
        with pymongo.timeout(INDEX_WITHIN):
            await database.open()
    finally:
        await database.close()


def _pairs(dice: random.Random, known: Sequence[Id], searchers: Sequence[Id]) -> Iterator[tuple[Id, Id]]:
    for one in known:
        yield from ((one, other) for other in dice.sample(known, FRIENDS // 2) if other != one)
    for number, searcher in enumerate(searchers):
        friends = min(len(known), 200 * (number + 1) ** 2)
        yield from ((searcher, other) for other in dice.sample(known, friends))


def _batches(rows_of: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for raw in rows_of:
        batch.append(raw)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _person(profile: Profile) -> dict[str, Any]:
    key, skeleton = handles.key(profile.handle), handles.skeleton(profile.handle)
    user = User(
        handle=profile.handle,
        handle_key=key,
        handle_skeleton=skeleton,
        handle_claims=claims_of(key, skeleton),
        name=profile.name,
        interests=list(profile.interests),
        university=profile.university,
        password_hash="nobody logs in here",
    )
    return _stored(user.model_copy(update=finding.by(user)))


def _friendship(pair: tuple[Id, Id], dice: random.Random) -> dict[str, Any]:
    at = now() - timedelta(minutes=dice.randrange(500_000))
    edge = Friendship(
        id=Friendship.id_of(*pair),
        pair=sorted(pair),
        state="accepted",
        asked_by=pair[0],
        asked_at=at,
        changed_at=at,
    )
    return _stored(edge)


def _stored(document: Document) -> dict[str, Any]:
    return document.model_dump(by_alias=True, exclude={"revision_id"})
