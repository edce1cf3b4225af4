"""Changing messages: editing, deleting, reacting, and what everyone's log says of it."""

import asyncio

import pytest

from common.errors import Unavailable
from tests.clients import Person
from tests.conftest import Node


async def test_an_edit_is_seen_by_everyone_and_one_of_twenty_racing_edits_wins(
    ann: Person, bob: Person
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = await anns.send("first", to=bob.id)

    edits = [{"messageId": sent["id"], "text": f"edit {n}", "editedAt": None} for n in range(20)]
    acks = await asyncio.gather(*(anns.ack("edit_message", edit) for edit in edits))

    won = [ack["data"] for ack in acks if ack["ok"]]
    assert len(won) == 1
    assert {ack["error"]["code"] for ack in acks if not ack["ok"]} == {"edit_conflict"}
    heard = await bobs.wait_for("message_updated")
    assert heard["message"]["text"] == won[0]["text"]
    assert heard["message"]["editedAt"] is not None


async def test_nobody_edits_or_deletes_what_somebody_else_said(ann: Person, bob: Person, cyd: Person) -> None:
    anns, bobs, cyds = await ann.device(), await bob.device(), await cyd.device()
    sent = await anns.send("mine", to=bob.id)

    assert await bobs.refused("edit_message", {"messageId": sent["id"], "text": "yours"}) == "forbidden"
    assert await bobs.refused("delete_message", {"messageId": sent["id"]}) == "forbidden"
    assert await cyds.refused("edit_message", {"messageId": sent["id"], "text": "ours"}) == "not_found"
    assert await cyds.refused("react_message", {"messageId": sent["id"], "emoji": "👍"}) == "not_found"

    assert (await ann.http.get(f"/api/messages/{bob.id}")).data[0]["text"] == "mine"


async def test_a_deleted_message_keeps_its_place_without_content(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = await anns.send("secret", to=bob.id)
    await anns.send("next", to=bob.id)

    await anns.call("delete_message", {"messageId": sent["id"]})

    assert (await bobs.wait_for("message_deleted"))["seq"] == 1
    messages = (await bob.http.get(f"/api/messages/{ann.id}")).data
    assert [(m["seq"], m["text"], m["deletedAt"] is None) for m in messages] == [
        (2, "next", True),
        (1, "", False),
    ]


async def test_reactions_stand_once_for_each_person_and_can_be_taken_back(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = await anns.send("nice", to=bob.id)
    like = {"messageId": sent["id"], "emoji": "👍"}

    await asyncio.gather(*(bobs.call("react_message", like) for _ in range(5)))
    await anns.call("react_message", like)

    assert (await ann.http.get(f"/api/messages/{bob.id}")).data[0]["reactions"] == {"👍": [bob.id, ann.id]}
    assert (await bobs.call("react_message", {**like, "on": False}))["reactions"] == {"👍": [ann.id]}
    assert (await anns.wait_for("message_reaction", lambda said: not said["on"]))["userId"] == bob.id


@pytest.mark.parametrize(
    "emoji", ["$set", "a.b", "é.x", "é", "👍.x", "👍$", "", "x" * 17, "👍 ", "\0", "ok", "12", "\u200d"]
)
async def test_a_reaction_is_an_emoji(ann: Person, bob: Person, emoji: str) -> None:
    anns = await ann.device()
    sent = await anns.send("nice", to=bob.id)

    assert await anns.refused("react_message", {"messageId": sent["id"], "emoji": emoji}) == "invalid_payload"


@pytest.mark.parametrize("emoji", ["👍", "👍🏽", "❤️", "👨‍👩‍👧", "🇩🇪", "1️⃣", "‼️"])
async def test_every_kind_of_emoji_is_a_reaction(ann: Person, bob: Person, emoji: str) -> None:
    anns = await ann.device()
    sent = await anns.send("nice", to=bob.id)

    assert (await anns.call("react_message", {"messageId": sent["id"], "emoji": emoji}))["reactions"] == {
        emoji: [ann.id]
    }


async def test_withdrawn_reactions_leave_room_for_others(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = await anns.send("nice", to=bob.id)
    for code in range(0x1F600, 0x1F600 + 20):
        for on in (True, False):
            await anns.call("react_message", {"messageId": sent["id"], "emoji": chr(code), "on": on})
    for code in range(0x1F600, 0x1F600 + 20):
        await anns.call("react_message", {"messageId": sent["id"], "emoji": chr(code)})

    assert await bobs.refused("react_message", {"messageId": sent["id"], "emoji": "👍"}) == "reactions_full"


async def test_after_concurrent_reactions_the_log_ends_with_the_truth(
    ann: Person, bob: Person, cyd: Person
) -> None:
    devices = [await person.device() for person in (ann, bob, cyd)]
    ids = [person.id for person in (bob, cyd)]
    group = (await ann.http.post("/api/conversations", {"name": "club", "memberIds": ids})).data["id"]
    for n in range(15):
        sent = await devices[0].send(f"{n}", conversationId=group)
        like = {"messageId": sent["id"], "emoji": "👍"}
        await asyncio.gather(*(device.call("react_message", like) for device in devices))

        entries = (await devices[0].call("sync", {"updates": 0}))["updates"]["entries"]
        said = [e["data"] for e in entries if e["data"].get("messageId") == sent["id"]]
        assert [one["rev"] for one in said] == [1, 2, 3]
        assert sorted(said[-1]["reactions"]["👍"]) == sorted(p.id for p in (ann, bob, cyd))


async def test_a_reaction_that_was_stored_but_not_told_is_told_when_it_is_asked_for_again(
    ann: Person, bob: Person, plaza: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = await anns.send("nice", to=bob.id)
    like = {"messageId": sent["id"], "emoji": "👍"}

    async def down(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(plaza.services.conversations, "tell", down)
        assert await bobs.refused("react_message", like) == "unavailable"
    for _ in range(2):
        await bobs.call("react_message", like)

    assert (await anns.wait_for("message_reaction"))["userId"] == bob.id
    assert len(anns.all("message_reaction")) == 1
