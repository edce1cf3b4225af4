"""Finding what was said: by parts of words, newest first, and only by those who may read it now."""

import asyncio
from typing import Any

import pytest

from documents.messages import Message
from documents.rows import rows
from documents.search import MessageWords
from realtime.features.search import rules
from tests.clients import Json, Person, Reply, eventually, new_key


async def search(person: Person, q: str, **params: Any) -> Reply:
    return await person.http.get("/api/search", params={"type": "messages", "q": q, **params})


async def found(person: Person, q: str, **params: Any) -> list[str]:
    reply = await search(person, q, limit=100, **params)
    assert reply.status == 200, reply.body
    return [message["text"] for message in reply.data]


async def say(person: Person, to: Person | str, text: str) -> Json:
    """A message to a person, or to a group."""
    receiver = {"to": to.id} if isinstance(to, Person) else {"conversationId": to}
    reply = await person.http.post("/api/messages", {**receiver, "text": text, "clientId": new_key()})
    assert reply.status == 201, reply.body
    return reply.data


async def is_found(person: Person, q: str, *texts: str) -> None:
    """Messages are read for search a moment after they are sent."""

    async def as_expected() -> bool:
        return await found(person, q) == list(texts)

    await eventually(as_expected, seconds=20)


async def found_group(owner: Person, *members: Person) -> str:
    body = {"name": "a group", "memberIds": [one.id for one in members]}
    return (await owner.http.post("/api/conversations", body)).data["id"]


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("Shall we eat Käsekuchen?", ["kasekuchen", "KÄSE", "kuchen", "eat kuch", "we", "chen, käse"]),
        ("明天在图书馆见", ["图书馆", "图书", "馆", "明天 馆"]),
        ("あした としょかんで", ["としょ", "かん"]),
        ("내일 도서관에서 만나", ["도서관", "서관", "내일 만나"]),
        ("Встретимся под ёлкой", ["встрет", "ЕЛКОЙ", "тимся"]),
        ("نلتقي في المَكتبة", ["المكتبة", "مكتب"]),
        ("เจอกันที่ห้องสมุด", ["ห้องสมุด", "สมุด"]),
        ("τα λέμε στην Αθήνα", ["αθηνα", "λεμε"]),
    ],
)
async def test_parts_of_words_of_any_script_find_a_message(
    ann: Person, bob: Person, text: str, queries: list[str]
) -> None:
    said = await say(ann, bob, text)
    await is_found(bob, queries[0], text)

    for query in queries:
        (message,) = (await search(bob, query)).data
        assert message["id"] == said["id"], query
        assert (message["conversationId"], message["seq"]) == (said["conversationId"], said["seq"])
        assert (message["from"], message["to"]) == (ann.id, bob.id)
    assert await found(bob, f"{queries[0]} zzz") == []


async def test_the_newest_come_first_and_a_cursor_neither_skips_nor_repeats(
    ann: Person, bob: Person, cyd: Person
) -> None:
    group = await found_group(ann, bob, cyd)
    for number in range(4):
        await say(ann, bob, f"orange number {number} with bob")
        await say(ann, group, f"orange number {number} with all")
    await is_found(
        ann,
        "orange number",
        *(f"orange number {n} with {whom}" for n in (3, 2, 1, 0) for whom in ("all", "bob")),
    )

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await search(ann, "orange number", limit=3, **cursor)).body
        seen += [message["text"] for message in page["data"]]
        if page["pagination"]["next_cursor"] is None:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
        await say(ann, bob, "one more orange number")

    assert seen == [f"orange number {n} with {whom}" for n in (3, 2, 1, 0) for whom in ("all", "bob")]
    second = await search(bob, "orange number", limit=3, page=2, conversationId=group)
    assert [message["text"] for message in second.data] == ["orange number 0 with all"]


# -- who may find them


async def test_only_those_who_may_read_a_conversation_now_find_what_was_said_in_it(
    ann: Person, bob: Person, cyd: Person
) -> None:
    group = await found_group(ann, bob)
    await say(ann, group, "papaya for the group")
    await say(ann, bob, "papaya for bob")
    await is_found(bob, "papaya", "papaya for bob", "papaya for the group")
    assert await found(cyd, "papaya") == []
    assert (await search(cyd, "papaya", conversationId=group)).status == 404

    members = f"/api/conversations/{group}/members"
    assert (await ann.http.post(members, {"userId": cyd.id})).status == 200
    await is_found(cyd, "papaya", "papaya for the group")
    assert (await ann.http.delete(f"{members}/{bob.id}")).status == 200
    await is_found(bob, "papaya", "papaya for bob")
    assert (await search(bob, "papaya", conversationId=group)).status == 404

    assert (await bob.http.post("/api/friends/block", {"userId": ann.id})).status == 200
    await is_found(bob, "papaya")
    await is_found(ann, "papaya", "papaya for the group")
    assert (await bob.http.post("/api/friends/unblock", {"userId": ann.id})).status == 200
    await is_found(bob, "papaya", "papaya for bob")


# -- what changes


async def test_a_message_is_found_by_what_it_says_now(ann: Person, bob: Person) -> None:
    said = await say(ann, bob, "the first melon")
    await is_found(bob, "melon", "the first melon")

    edit = {"messageId": said["id"], "text": "a second cherry"}
    assert (await ann.http.patch(f"/api/messages/{said['id']}", edit)).status == 200
    assert await found(bob, "melon") == []
    assert await found(bob, "cherry") == ["a second cherry"]

    assert (await ann.http.delete(f"/api/messages/{said['id']}")).status == 200
    assert await found(bob, "cherry") == []
    assert await rows(MessageWords).find_one({"_id": said["id"]}) is None


async def test_edits_at_once_leave_the_words_of_the_last(ann: Person, bob: Person) -> None:
    said = await say(ann, bob, "plain")
    texts = [f"{word} quince" for word in ("alpha", "beta", "gamma", "delta")]
    path = f"/api/messages/{said['id']}"

    await asyncio.gather(*(ann.http.patch(path, {"messageId": said["id"], "text": text}) for text in texts))

    (stands,) = await found(bob, "quince")
    kept = await rows(MessageWords).find_one({"_id": said["id"]})
    assert kept is not None
    assert sorted(kept["grams"]) == sorted(rules.grams_of(stands))


async def test_what_was_deleted_while_it_was_read_is_not_found_and_forgotten(
    ann: Person, bob: Person
) -> None:
    said = await say(ann, bob, "secret rhubarb")
    await is_found(bob, "rhubarb", "secret rhubarb")
    gone = {"text": "", "deleted_at": said["createdAt"]}
    await rows(Message).update_one({"_id": said["id"]}, {"$set": gone})

    assert await found(bob, "rhubarb") == []
    assert await rows(MessageWords).find_one({"_id": said["id"]}) is None
