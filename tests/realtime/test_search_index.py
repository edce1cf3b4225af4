"""Reading messages for search: nothing is missed, whatever crashes, and nothing is read without end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from common.clock import now
from common.ids import Id, new_id
from documents.conversations import Activity
from documents.messages import Message
from documents.rows import rows
from documents.search import Mark, MessageWords, WordsRead, WordsSweep
from realtime.features.messages import MessageArchive
from realtime.features.search import Indexer, MessageIndex, rules
from realtime.features.search.service import indexing, walk
from realtime.features.search.service.walk import MessageWalk
from tests.clients import Person, eventually
from tests.conftest import Node

LONG_AGO = now() - timedelta(days=2)


@pytest.fixture
async def indexer(plaza: Node) -> AsyncIterator[Indexer]:
    """One that does nothing by itself."""
    yield Indexer(MessageArchive(), MessageIndex())


async def store(conversation: Id, count: int, text: str = "plum {}") -> list[Id]:
    """Messages that are there without anybody having been told."""
    messages = [
        Message(
            conversation=conversation,
            seq=number + 1,
            sender=new_id(),
            client_id=f"c{number}",
            body_hash="",
            text=text.format(number),
        )
        for number in range(count)
    ]
    await rows(Message).insert_many(
        [one.model_dump(by_alias=True, exclude={"revision_id"}) for one in messages]
    )
    return [one.id for one in messages]


async def words_of(conversation: Id) -> set[Id]:
    found = rows(MessageWords).find({"conversation": conversation}, {"_id": 1})
    return {raw["_id"] for raw in await found.to_list()}


async def position(conversation: Id) -> int:
    return (await WordsRead.positions([conversation]))[conversation]


async def test_a_conversation_is_read_in_parts_and_once(indexer: Indexer) -> None:
    conversation, count = new_id(), indexing.OF_ONE * 2 + 7
    ids = await store(conversation, count)

    await asyncio.gather(*(indexer.read({conversation: count}) for _ in range(3)))

    assert await words_of(conversation) == set(ids)
    assert await position(conversation) == count


async def test_reading_goes_on_where_a_crash_ended_it(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation, count = new_id(), indexing.OF_ONE + 5
    ids = await store(conversation, count)

    async def crash(positions: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(WordsRead, "advance", crash)
        with pytest.raises(ConnectionError):
            await indexer.read({conversation: count})
    assert await position(conversation) == 0

    await indexer.read({conversation: count})

    assert await words_of(conversation) == set(ids)


async def test_what_nobody_remembers_to_read_is_found_by_the_sweep(plaza: Node, indexer: Indexer) -> None:
    conversation = new_id()
    ids = await store(conversation, 3)

    async def is_read() -> bool:
        await rows(WordsSweep).update_many({}, {"$set": {"next_at": LONG_AGO}})
        await indexer.sweep()
        return await words_of(conversation) == set(ids)

    await eventually(is_read, seconds=20)
    assert await position(conversation) == 3


async def test_one_node_at_a_time_sweeps(plaza: Node) -> None:
    await WordsSweep.claim(timedelta(0))
    await rows(WordsSweep).update_many({}, {"$set": {"next_at": LONG_AGO}})

    claims = await asyncio.gather(*(WordsSweep.claim(timedelta(hours=1)) for _ in range(10)))

    assert sum(claim is not None for claim in claims) <= 1
    await rows(WordsSweep).update_many({}, {"$set": {"next_at": LONG_AGO}})


async def test_a_conversation_that_is_gone_is_not_remembered(indexer: Indexer) -> None:
    conversation = new_id()
    await indexer.read({conversation: 5})
    assert await rows(WordsRead).find_one({"_id": conversation}) is None


async def test_what_waits_to_be_read_is_bounded(
    plaza: Node, indexer: Indexer, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "MOST_WAITING", 1)
    said = [
        await (await ann.device()).send("first", to=bob.id),
        await (await bob.device()).send("second", to=ann.id),
    ]
    first = await plaza.services.messages.latest(said[0]["conversationId"], 10)
    group = (await ann.http.post("/api/conversations", {"name": "g", "memberIds": []})).data["id"]
    await ann.devices[0].send("third", conversationId=group)
    indexer.heard(first)
    indexer.heard(await plaza.services.messages.latest(group, 10))
    assert indexer.waiting == {said[0]["conversationId"]: 2}


# -- walking back in time


async def tell(places: list[Activity], each: int, grams: list[str]) -> list[Mark]:
    """Words of messages at even distances, in turn in each conversation; the newest first."""
    marks: list[Mark] = []
    words: list[MessageWords] = []
    at = max(place.last_at for place in places)
    for number in range(each * len(places)):
        conversation = places[number % len(places)].conversation
        at -= timedelta(seconds=1)
        one = MessageWords(id=new_id(), conversation=conversation, sender=new_id(), at=at, rev=0, grams=grams)
        words.append(one)
        marks.append((at, one.id))
    await MessageWords.add(words)
    return marks


def somewhere(count: int, at: datetime) -> list[Activity]:
    """Conversations, each active a second before the one in front of it."""
    at = at.replace(microsecond=0)
    return [Activity(new_id(), at - timedelta(seconds=number), None) for number in range(count)]


async def test_all_conversations_together_are_in_the_order_of_time(plaza: Node) -> None:
    places = somewhere(walk.TOGETHER * 2 + 30, now())
    marks = await tell(places, 2, ["plu", "lum"])

    seen: list[Mark] = []
    before: Mark | None = None
    while part := await MessageWalk(places, ["plu", "lum"], before).some(77):
        seen += [(one.at, one.id) for one in part]
        before = seen[-1]

    assert seen == marks


async def test_a_walk_ends_after_a_bounded_number_of_candidates_and_goes_on(
    plaza: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "CANDIDATES", 50)
    places = somewhere(3, now())
    await tell(places, 70, ["plu", "lum"])
    older = [Activity(one.conversation, one.last_at - timedelta(hours=1), None) for one in places]
    rare = await tell(older, 1, ["plu", "lum", "xyz"])

    before: Mark | None = None
    requests, seen = 0, list[Mark]()
    while True:
        walking = MessageWalk(places, ["plu", "xyz"], before)
        seen += [(one.at, one.id) for one in await walking.some(10)]
        requests += 1
        if walking.stopped_at is None:
            break
        before = walking.stopped_at

    assert seen == rare
    assert requests == -(-(70 * 3 + 3) // 50)


async def test_the_index_gives_the_order_and_reads_no_more_than_asked_for(plaza: Node) -> None:
    places = somewhere(walk.TOGETHER, now())
    await tell(places, 5, ["plu"])
    where = {"conversation": {"$in": [place.conversation for place in places]}, "grams": "plu"}

    plan = await rows(MessageWords).find(where).sort([("at", -1), ("_id", -1)]).limit(20).explain()

    assert "'SORT'" not in str(plan["queryPlanner"]["winningPlan"])
    assert plan["executionStats"]["totalKeysExamined"] <= 20 + 2 * walk.TOGETHER


@pytest.mark.parametrize(
    ("text", "most"),
    [("a" * 10_000, 3), ("word " * 2000, 5), (" ".join(f"w{n}x{n}" for n in range(5000)), rules.MOST)],
)
def test_a_message_has_a_bounded_number_of_grams(text: str, most: int) -> None:
    assert len(rules.grams_of(text)) <= most


async def test_what_cannot_be_stored_does_not_stand_in_the_way(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = new_id(), new_id()
    await store(broken, 2)
    ids = await store(whole, 2)

    async def fail(messages: object) -> None:
        raise ValueError

    with monkeypatch.context() as patched:
        patched.setattr(indexer.index, "add", fail)
        await indexer.read({broken: 2})
    await indexer.read({broken: 2, whole: 2})

    assert await words_of(broken) == set()
    assert await words_of(whole) == set(ids)
