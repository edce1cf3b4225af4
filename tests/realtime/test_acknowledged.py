"""What an ack means: stored by majority, or not acknowledged at all."""

import asyncio
from typing import Any

import pytest

from common.errors import Unavailable
from documents.messages import Message
from documents.updates import Update
from tests.clients import Person, new_key


async def test_what_could_not_be_stored_is_not_acknowledged_nor_said_and_a_retry_stores_it_once(
    ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("before", to=bob.id)
    body = {"to": bob.id, "text": "hello", "clientId": new_key()}

    async def down(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(Message, "append", down)
        ack = await anns.ack("send_message", body)
    assert (ack["ok"], ack["error"]["code"], ack["error"]["retryable"]) == (False, "unavailable", True)
    assert [m["text"] for m in bobs.all("new_message")] == ["before"]

    again = await anns.call("send_message", body)

    assert again["seq"] == 2
    assert [m["seq"] for m in (await bob.http.get(f"/api/messages/{ann.id}")).data] == [2, 1]


async def test_a_message_stored_although_its_insert_failed_is_answered_on_retry(
    ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("before", to=bob.id)
    bodies = [{"to": bob.id, "text": f"{n}", "clientId": new_key()} for n in range(5)]
    store = Message.append

    async def lose_the_answer(entries: Any) -> None:
        await store(entries)
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(Message, "append", lose_the_answer)
        for body in bodies:
            assert (await anns.ack("send_message", body))["ok"] is False

    acks = [await anns.call("send_message", body) for body in bodies]

    assert [ack["seq"] for ack in acks] == [2, 3, 4, 5, 6]
    await bobs.wait_until(lambda: len(bobs.all("new_message")) == 6)
    assert [m["seq"] for m in bobs.all("new_message")] == [1, 2, 3, 4, 5, 6]


async def test_a_message_is_stored_when_its_ack_and_its_publication_arrive(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()

    for n in range(20):
        sending = asyncio.create_task(anns.send(f"{n}", to=bob.id))
        heard = await bobs.wait_for("new_message", lambda message, n=n: message["seq"] == n + 1)
        assert await Message.get(heard["id"]) is not None
        assert await Message.get((await sending)["id"]) is not None


async def test_messages_and_changes_are_written_to_the_majority_and_the_journal() -> None:
    for kind in (Message, Update):
        assert kind.get_pymongo_collection().write_concern.document == {"w": "majority", "j": True}
