"""Messages that nobody was there to hear: told once for each conversation, until it is read."""

import pytest

from documents.database import Database
from realtime.app import Server, build_app
from realtime.bootstrap import open_services
from realtime.features.notifications.service import missed
from rest.app import add_rest
from tests.clients import Person, eventually
from tests.conftest import MakeSettings, Node, SignUp, StartNode

PATH = "/api/notifications"
SOON_DEAD = {"ping_interval": 0.3, "ping_timeout": 0.3}
"""A dead connection is noticed soon, so who seemed to be there is looked for again soon."""


async def told(person: Person) -> list[tuple[str, int, str]]:
    rows = (await person.http.get(PATH)).data
    assert {row["type"] for row in rows} <= {"new_message"}
    return [(row["text"], row["count"], row["actor"]["id"]) for row in rows]


async def is_told(person: Person, *expected: tuple[str, int, str]) -> None:
    async def holds() -> bool:
        return await told(person) == list(expected)

    try:
        await eventually(holds, seconds=20)
    except AssertionError:
        assert await told(person) == list(expected)


async def found_group(owner: Person, *members: Person) -> str:
    body = {"name": "chess", "memberIds": [member.id for member in members]}
    return (await owner.http.post("/api/conversations", body)).data["id"]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said in a conversation that was told just now need not wait."""
    monkeypatch.setattr(missed, "AGAIN", 0.0)


async def test_who_is_not_there_is_told_once_for_each_conversation(
    often: None, ann: Person, bob: Person, cyd: Person
) -> None:
    anns, cyds = await ann.device(), await cyd.device()

    sent = await anns.send("a secret", to=bob.id)
    await is_told(bob, ("ann sent you a message.", 1, ann.id))
    for n in range(4):
        await anns.send(f"secret {n}", to=bob.id)
    await is_told(bob, ("ann sent you 5 messages.", 5, ann.id))
    await cyds.send("hello", to=bob.id)
    await is_told(bob, ("cyd sent you a message.", 1, cyd.id), ("ann sent you 5 messages.", 5, ann.id))

    row = (await bob.http.get(PATH)).data[1]
    assert row["data"] == {"conversationId": sent["conversationId"], "seq": 5}
    assert (await ann.http.get(PATH)).data == []


async def test_reading_the_conversation_takes_it_back_on_all_devices(
    often: None, ann: Person, bob: Person
) -> None:
    anns = await ann.device()
    first = await anns.send("one", to=bob.id)
    await is_told(bob, ("ann sent you a message.", 1, ann.id))
    last = await anns.send("two", to=bob.id)
    await is_told(bob, ("ann sent you 2 messages.", 2, ann.id))
    phone, laptop = await bob.device(), await bob.device()

    await phone.call("mark_read", {"messageId": first["id"]})
    assert len(await told(bob)) == 1
    await phone.call("mark_read", {"messageId": last["id"]})

    for device in (phone, laptop):
        assert (await device.wait_for("notification_removed"))["unreadCount"] == 0
    assert await told(bob) == []
    await phone.close()
    await laptop.close()


async def test_answering_is_reading(often: None, ann: Person, bob: Person) -> None:
    anns = await ann.device()
    await anns.send("one", to=bob.id)
    await is_told(bob, ("ann sent you a message.", 1, ann.id))

    await bob.http.post("/api/messages", {"to": ann.id, "text": "yes?", "clientId": "answer"})

    await is_told(bob)


async def test_who_is_there_on_any_node_is_not_told(two_nodes: tuple[Node, Node], join: SignUp) -> None:
    one, other = two_nodes
    ann, bob, cyd = [await join(name, one.url) for name in ("ann", "bob", "cyd")]
    anns = await ann.device(one.url)
    bobs, cyds = await bob.device(one.url), await cyd.device(other.url)

    for device, person in ((bobs, bob), (cyds, cyd)):
        await anns.send("hello", to=person.id)
        await device.wait_for("new_message")
    witness = await join("eve", one.url)
    await anns.send("hello", to=witness.id)
    await is_told(witness, ("ann sent you a message.", 1, ann.id))

    assert await told(bob) == await told(cyd) == []


async def test_who_leaves_without_reading_is_told_when_it_is_certain(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(timeouts=SOON_DEAD))
    ann, bob = await join("ann", node.url), await join("bob", node.url)
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("hello", to=bob.id)
    await bobs.wait_for("new_message")

    await bobs.close()

    await is_told(bob, ("ann sent you a message.", 1, ann.id))


async def test_in_a_group_those_are_told_who_are_not_there_and_have_not_muted_it(
    often: None, ann: Person, bob: Person, cyd: Person, join: SignUp
) -> None:
    dan = await join("dan")
    anns = await ann.device()
    group = await found_group(ann, bob, cyd, dan)
    await cyd.http.patch(f"/api/conversations/{group}", {"muted": True})
    dans = await dan.device()

    await anns.send("hello", conversationId=group)
    await dans.wait_for("new_message")
    await is_told(bob, ("ann wrote in chess.", 1, ann.id))
    await anns.send("hello again", conversationId=group)
    await is_told(bob, ("2 new messages in chess.", 2, ann.id))

    assert await told(cyd) == await told(dan) == await told(ann) == []


async def test_who_has_left_a_group_is_told_nothing_of_it_any_more(ann: Person, bob: Person) -> None:
    anns = await ann.device()
    group = await found_group(ann, bob)
    await anns.send("hello", conversationId=group)
    await is_told(bob, ("ann wrote in chess.", 1, ann.id))

    await ann.http.delete(f"/api/conversations/{group}/members/{bob.id}")

    await is_told(bob)


async def test_of_a_large_group_nobody_is_told_message_by_message(
    ann: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed, "MOST_MEMBERS", 2)
    anns = await ann.device()
    group = await found_group(ann, bob, cyd)

    await anns.send("hello", conversationId=group)
    await anns.send("hello", to=cyd.id)
    await is_told(cyd, ("ann sent you a message.", 1, ann.id))

    assert await told(bob) == []


async def test_a_message_sent_again_and_a_notification_removed_are_not_told_again(
    often: None, ann: Person, bob: Person, cyd: Person
) -> None:
    anns = await ann.device()
    body = {"to": bob.id, "text": "hello", "clientId": "once"}
    await anns.call("send_message", body)
    await is_told(bob, ("ann sent you a message.", 1, ann.id))
    (row,) = (await bob.http.get(PATH)).data
    await bob.http.delete(f"{PATH}/{row['id']}")

    await anns.call("send_message", body)
    await anns.send("hello", to=cyd.id)
    await is_told(cyd, ("ann sent you a message.", 1, ann.id))

    assert await told(bob) == []


async def test_a_node_that_stops_tells_who_was_not_there_and_nobody_else(
    make_settings: MakeSettings, database: Database, plaza: Node, join: SignUp
) -> None:
    ann, bob, cyd = [await join(name) for name in ("ann", "bob", "cyd")]
    async with open_services(make_settings(), database) as services:
        server = Server(services, build_app(services, add_rest))
        await server.start("127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.port}"
        anns, bobs = await ann.device(url), await bob.device(url)
        for person in (cyd, bob):
            await anns.send("hello", to=person.id)
        await bobs.wait_for("new_message")
        await server.stop()

    assert await told(cyd) == [("ann sent you a message.", 1, ann.id)]
    assert await told(bob) == []


async def test_what_a_node_did_not_look_at_before_it_ended_the_next_one_looks_at(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    dying = await start_node(make_settings())
    dying.services.messages.on_stored = None
    ann, bob = await join("ann", dying.url), await join("bob", dying.url)
    anns = await ann.device()
    await anns.send("one", to=bob.id)
    await anns.send("two", to=bob.id)
    await dying.services.conversations.touch()

    await start_node(make_settings(timeouts=SOON_DEAD))

    await is_told(bob, ("ann sent you 2 messages.", 2, ann.id))


async def test_what_there_was_no_room_for_is_looked_for_later(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node(make_settings(timeouts=SOON_DEAD))
    ann, bob = await join("ann", node.url), await join("bob", node.url)
    anns = await ann.device()
    monkeypatch.setattr(missed, "MAX_WAITING", 0)
    await anns.send("hello", to=bob.id)
    await node.services.conversations.touch()
    assert await told(bob) == []

    monkeypatch.undo()

    await is_told(bob, ("ann sent you a message.", 1, ann.id))
