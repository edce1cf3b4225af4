"""What a session hears from its beginning, whatever happens while it connects."""

from collections.abc import Sequence

import pytest

from realtime import channels
from tests.clients import Person
from tests.conftest import Node


async def group_of(owner: Person, *others: Person) -> str:
    body = {"name": "club", "memberIds": [other.id for other in others]}
    return (await owner.http.post("/api/conversations", body)).data["id"]


async def remove(by: Person, group: str, whom: Person) -> None:
    assert (await by.http.delete(f"/api/conversations/{group}/members/{whom.id}")).status == 200


async def add(by: Person, group: str, whom: Person) -> None:
    reply = await by.http.post(f"/api/conversations/{group}/members", {"userId": whom.id})
    assert reply.status in {200, 201}, reply.body


async def test_who_is_removed_while_connecting_hears_nothing_more(
    plaza: Node, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await group_of(ann, bob)
    look = plaza.services.conversations.places_of

    async def slow(user_ids: Sequence[str]) -> dict[str, list[str]]:
        seen = await look(user_ids)
        await remove(ann, group, bob)
        return seen

    monkeypatch.setattr(plaza.services.conversations, "places_of", slow)
    bobs = await bob.device()
    monkeypatch.undo()

    anns = await ann.device()
    await anns.send("among us", conversationId=group)
    await anns.wait_for("new_message")
    assert await bobs.hears_nothing_but("conversation_updated")


async def test_who_is_removed_and_comes_back_while_connecting_hears_what_follows(
    plaza: Node, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await group_of(ann, bob)
    look = plaza.services.conversations.places_of

    async def slow(user_ids: Sequence[str]) -> dict[str, list[str]]:
        await remove(ann, group, bob)
        seen = await look(user_ids)
        await add(ann, group, bob)
        return seen

    monkeypatch.setattr(plaza.services.conversations, "places_of", slow)
    bobs = await bob.device()
    monkeypatch.undo()

    anns = await ann.device()
    await anns.send("here again", conversationId=group)
    await bobs.wait_for("new_message", lambda said: said["text"] == "here again")


async def test_a_conversation_that_loses_its_last_listener_meanwhile_is_heard_from_its_end(
    plaza: Node, ann: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, lively = await group_of(bob, cyd), await group_of(ann, bob)
    anns = await ann.device()
    for word in ("one", "two", "three"):
        await anns.send(word, conversationId=lively)
    local, ask = plaza.services.local, plaza.services.conversations.heads
    asked: list[set[str]] = []

    async def slow(places: Sequence[str]) -> dict[str, int]:
        asked.append(set(places))
        found = await ask(places)
        if len(asked) == 1:
            plaza.services.fanout.close(channels.user(ann.id), "signed_out")
        return found

    monkeypatch.setattr(plaza.services.conversations, "heads", slow)
    await bob.device()

    assert asked == [{silent}, {lively}]
    assert local.heard(channels.conversation(lively)) == 3
    assert local.heard(channels.conversation(silent)) == 0
