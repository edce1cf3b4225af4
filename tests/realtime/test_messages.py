"""Talking to each other: the guarantees of the contract's section 4, entered by the socket and by HTTP."""

import asyncio
import random

import pytest

from documents.conversations import Conversation
from tests.clients import Person, Refused, eventually, new_key, sign_up
from tests.conftest import MakeSettings, StartNode


async def test_a_message_reaches_the_other_person_and_is_acknowledged_as_stored(
    ann: Person, bob: Person
) -> None:
    anns, bobs = await ann.device(), await bob.device()

    sent = await anns.send("hello", to=bob.id)

    heard = await bobs.wait_for("new_message")
    assert heard == sent
    assert (sent["seq"], sent["from"], sent["to"], sent["read"]) == (1, ann.id, bob.id, False)


async def test_messages_of_a_conversation_are_numbered_from_one_without_gaps_for_every_reader(
    ann: Person, bob: Person
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("first", to=bob.id)

    await asyncio.gather(
        *(who.send(f"{n}", to=to.id) for n in range(50) for who, to in ((anns, bob), (bobs, ann)))
    )

    for device in (anns, bobs):
        await device.wait_until(lambda device=device: len(device.all("new_message")) == 101)
        assert [message["seq"] for message in device.all("new_message")] == list(range(1, 102))
    assert [m["id"] for m in anns.all("new_message")] == [m["id"] for m in bobs.all("new_message")]


async def test_a_retry_through_any_door_gets_the_first_answer(ann: Person, bob: Person) -> None:
    anns, key = await ann.device(), new_key()
    body = {"to": bob.id, "text": "once", "clientId": key}

    first = await anns.call("send_message", body)
    again = await anns.call("send_message", body)
    by_http = await ann.http.post("/api/messages", body)

    assert (first["id"], first["seq"]) == (again["id"], again["seq"])
    assert (by_http.status, by_http.data["id"], by_http.data["seq"]) == (201, first["id"], first["seq"])
    assert len((await ann.http.get(f"/api/messages/{bob.id}")).data) == 1


async def test_fifty_concurrent_sends_of_one_message_through_both_doors_store_it_once(
    ann: Person, bob: Person
) -> None:
    anns, body = await ann.device(), {"to": bob.id, "text": "once", "clientId": new_key()}

    acks = await asyncio.gather(*(anns.call("send_message", body) for _ in range(25)))
    replies = await asyncio.gather(*(ann.http.post("/api/messages", body) for _ in range(25)))

    assert len({ack["id"] for ack in acks} | {reply.data["id"] for reply in replies}) == 1
    assert len((await bob.http.get(f"/api/messages/{ann.id}")).data) == 1


async def test_a_client_id_with_another_body_is_refused_and_stores_nothing(ann: Person, bob: Person) -> None:
    anns, key = await ann.device(), new_key()
    await anns.call("send_message", {"to": bob.id, "text": "one", "clientId": key})

    assert (
        await anns.refused("send_message", {"to": bob.id, "text": "two", "clientId": key})
        == "client_id_reused"
    )
    reply = await ann.http.post("/api/messages", {"to": bob.id, "text": "three", "clientId": key})

    assert (reply.status, reply.code) == (409, "client_id_reused")
    assert [m["text"] for m in (await ann.http.get(f"/api/messages/{bob.id}")).data] == ["one"]


async def test_a_refused_retry_leaves_no_gap_in_the_order(ann: Person, bob: Person) -> None:
    anns, key = await ann.device(), new_key()
    bodies = [{"to": bob.id, "text": f"{n}", "clientId": new_key()} for n in range(20)]
    again = {"to": bob.id, "text": "same", "clientId": key}
    await anns.call("send_message", again)

    await asyncio.gather(*(ann.http.post("/api/messages", body) for body in [*bodies, again, again, again]))

    messages = (await ann.http.get(f"/api/messages/{bob.id}?limit=100")).data
    assert sorted(message["seq"] for message in messages) == list(range(1, 22))


async def test_one_clients_events_are_handled_in_the_order_in_which_it_sent_them(
    ann: Person, bob: Person
) -> None:
    anns = await ann.device()
    await anns.send("0", to=bob.id)
    texts = [str(n) for n in range(1, 101)]

    for text in texts:
        await anns.sio.emit("send_message", {"to": bob.id, "text": text, "clientId": new_key()})
    await anns.wait_until(lambda: len(anns.all("new_message")) == 101)

    assert [m["text"] for m in anns.all("new_message")] == ["0", *texts]


async def test_sync_returns_exactly_what_is_missing_in_order(ann: Person, bob: Person) -> None:
    anns = await ann.device()
    sent = [await anns.send(f"{n}", to=bob.id) for n in range(5)]
    bobs, conversation = await bob.device(), sent[0]["conversationId"]

    answer = await bobs.call("sync", {"streams": {conversation: 2}})

    page = answer["streams"][conversation]
    assert [m["seq"] for m in page["messages"]] == [3, 4, 5]
    assert (page["seq"], page["head"], page["more"], page["truncated"]) == (5, 5, False, False)


async def test_sync_pages_through_a_long_gap_without_skipping(ann: Person, bob: Person) -> None:
    bodies = [{"to": bob.id, "text": f"{n}", "clientId": new_key()} for n in range(450)]
    replies = await asyncio.gather(*(ann.http.post("/api/messages", body) for body in bodies))
    conversation, seq, seen = replies[0].data["conversationId"], 0, []
    bobs = await bob.device()

    while True:
        page = (await bobs.call("sync", {"streams": {conversation: seq}}))["streams"][conversation]
        seen += [m["seq"] for m in page["messages"]]
        seq = page["seq"]
        if not page["more"]:
            break

    assert seen == list(range(1, 451))


async def test_a_client_that_claims_more_than_there_is_gets_a_snapshot(ann: Person, bob: Person) -> None:
    anns = await ann.device()
    sent = await anns.send("one", to=bob.id)
    conversation = sent["conversationId"]

    page = (await anns.call("sync", {"streams": {conversation: 99}}))["streams"][conversation]

    assert page["truncated"] is True
    assert (page["seq"], [m["seq"] for m in page["messages"]]) == (1, [1])


async def test_changes_that_are_not_messages_come_with_a_gapless_pos_live_and_by_sync(
    ann: Person, bob: Person
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    start = (await anns.call("sync", {}))["updates"]["pos"]
    sent = [await anns.send(f"{n}", to=bob.id) for n in range(3)]
    for message in sent:
        await bobs.call("mark_read", {"messageId": message["id"]})
    await anns.wait_for("message_read", lambda read: read["seq"] == 3)

    live = [(one.data["pos"], one.event) for one in anns.heard if "pos" in one.data]
    synced = (await anns.call("sync", {"updates": start}))["updates"]

    assert [pos for pos, _ in live] == list(range(start + 1, start + 1 + len(live)))
    assert [(entry["pos"], entry["event"]) for entry in synced["entries"]] == live
    assert [event for _, event in live] == ["conversation_updated", *["message_read"] * 3]


async def test_unread_counts_are_what_lies_behind_the_read_position(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = [await anns.send(f"{n}", to=bob.id) for n in range(5)]

    async def unread(person: Person) -> int:
        return (await person.http.get("/api/messages/conversations")).data[0]["unread"]

    assert (await unread(bob), await unread(ann)) == (5, 0)
    assert (await bobs.call("mark_read", {"messageId": sent[2]["id"]}))["unread"] == 2
    assert await unread(bob) == 2
    await bobs.send("answer", to=ann.id)
    assert (await unread(bob), await unread(ann)) == (0, 1)


async def test_ones_own_messages_are_never_unread_even_if_nothing_was_noted_beside_them(
    ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("the process died before it could note anything")

    monkeypatch.setattr(Conversation, "touch", crash)
    anns = await ann.device()
    for n in range(3):
        await anns.send(f"{n}", to=bob.id)

    for person, unread in ((ann, 0), (bob, 3)):
        shown = (await person.http.get("/api/messages/conversations")).data[0]
        assert (shown["seq"], shown["unread"], shown["lastMessage"]["text"]) == (3, unread, "2")


async def test_a_read_position_never_goes_back(ann: Person, bob: Person) -> None:
    anns = await ann.device()
    sent = [await anns.send(f"{n}", to=bob.id) for n in range(20)]
    conversation = sent[0]["conversationId"]
    random.shuffle(sent)

    await asyncio.gather(*(bob.http.post(f"/api/messages/{message['id']}/read") for message in sent))

    shown = (await bob.http.get(f"/api/conversations/{conversation}")).data
    assert (shown["readSeq"], shown["unread"]) == (20, 0)
    await anns.wait_for("message_read", lambda read: read["seq"] == 20)


async def test_reading_beyond_the_last_message_is_refused(ann: Person, bob: Person) -> None:
    anns = await ann.device()
    conversation = (await anns.send("one", to=bob.id))["conversationId"]
    bobs = await bob.device()

    for seq in (2, -1, 2**70, "1", 1.5, None):
        code = await bobs.refused("mark_read", {"conversationId": conversation, "seq": seq})
        assert code == "invalid_payload"

    assert (await bob.http.get(f"/api/conversations/{conversation}")).data["readSeq"] == 0


async def test_history_says_what_was_read_and_when(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    first, second = await anns.send("one", to=bob.id), await anns.send("two", to=bob.id)
    await bobs.call("mark_read", {"messageId": first["id"]})

    newest, oldest = (await ann.http.get(f"/api/messages/{bob.id}")).data

    assert (newest["id"], newest["read"], newest["readAt"]) == (second["id"], False, None)
    assert (oldest["id"], oldest["read"]) == (first["id"], True)
    assert oldest["readAt"] is not None


async def test_delivery_is_told_to_the_sender(ann: Person, bob: Person) -> None:
    anns, _ = await ann.device(), await bob.device()

    sent = await anns.send("one", to=bob.id)

    delivered = await anns.wait_for("message_delivered")
    assert delivered == {"conversationId": sent["conversationId"], "userId": bob.id, "seq": 1}


async def test_typing_is_told_to_the_other_and_ends_on_send_and_on_disconnect(
    ann: Person, bob: Person
) -> None:
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("hello", to=bob.id)

    await anns.call("typing", {"to": bob.id, "isTyping": True})
    await bobs.wait_for("typing_indicator", lambda said: said["isTyping"])
    await anns.send("there", to=bob.id)
    await bobs.wait_for("typing_indicator", lambda said: not said["isTyping"])
    bobs.heard.clear()
    await anns.call("typing", {"to": bob.id, "isTyping": True})
    await anns.close()
    await bobs.wait_until(lambda: len(bobs.all("typing_indicator")) == 2)

    assert [said["isTyping"] for said in bobs.all("typing_indicator")] == [True, False]
    assert anns.all("typing_indicator") == []


async def test_a_closed_room_gives_no_typing_but_every_message(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    conversation = (await anns.send("hello", to=bob.id))["conversationId"]
    await bobs.wait_for("new_message")
    await bobs.call("leave_room", {"conversationId": conversation})

    await anns.call("typing", {"to": bob.id, "isTyping": True})
    sent = await anns.send("there", to=bob.id)
    await bobs.wait_for("new_message", lambda message: message["id"] == sent["id"])

    assert bobs.all("typing_indicator") == []


async def test_the_answer_to_reading_counts_what_one_sent_oneself(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    first = await bobs.send("hello", to=ann.id)
    await anns.send("answer", to=bob.id)

    assert await anns.call("mark_read", {"messageId": first["id"]}) == {
        "conversationId": first["conversationId"],
        "seq": 2,
        "unread": 0,
    }


async def test_sending_over_http_ends_typing_too(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("hello", to=bob.id)
    await anns.call("typing", {"to": bob.id, "isTyping": True})

    await ann.http.post("/api/messages", {"to": bob.id, "text": "there", "clientId": new_key()})

    await bobs.wait_for("typing_indicator", lambda said: not said["isTyping"])


async def test_a_command_that_takes_too_long_is_answered(
    make_settings: MakeSettings, start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node(make_settings(timeouts={"command": 0.2}))
    ann = await sign_up(node.url, "ann")

    async def slow(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(node.services.sync, "sync", slow)
    device = await ann.device()
    assert await device.refused("sync", {}) == "timeout"
    await ann.leave()


async def test_a_long_gap_comes_in_helpings_that_the_socket_can_hold(ann: Person, bob: Person) -> None:
    text = "長" * 9_000
    bodies = [{"to": bob.id, "text": text, "clientId": new_key()} for _ in range(40)]
    sent = await asyncio.gather(*(ann.http.post("/api/messages", body) for body in bodies))
    bobs, conversation, seen = await bob.device(), sent[0].data["conversationId"], list[int]()

    more = True
    while more:
        last = seen[-1] if seen else 0
        page = (await bobs.call("sync", {"streams": {conversation: last}}))["streams"][conversation]
        assert len(page["messages"]) <= 5
        seen += [m["seq"] for m in page["messages"]]
        more = page["more"]

    assert seen == list(range(1, 41))


async def test_a_reply_names_a_message_of_the_same_conversation(
    ann: Person, bob: Person, cyd: Person
) -> None:
    anns = await ann.device()
    with_bob, with_cyd = await anns.send("to bob", to=bob.id), await anns.send("to cyd", to=cyd.id)

    reply = await anns.send("again", to=bob.id, replyTo=with_bob["id"])

    assert reply["replyTo"] == with_bob["id"]
    with pytest.raises(Refused, match="not_found"):
        await anns.send("leak", to=bob.id, replyTo=with_cyd["id"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "to nobody"},
        {"to": "not an id", "text": "x"},
        {"to": {"$ne": ""}, "text": "x"},
        {"text": "   "},
        {"text": "x" * 10_001},
        {"text": "nul \0"},
        {"text": 5},
        {"text": "x", "from": "someone else"},
        {"text": "x", "seq": 7},
        {"text": "x", "mediaUrl": "javascript:alert(1)"},
        {"text": "x", "clientId": ""},
        {"text": "x", "clientId": {"$gt": ""}},
    ],
)
async def test_a_message_that_does_not_fit_is_refused_and_stores_nothing(
    ann: Person, bob: Person, body: dict[str, object]
) -> None:
    anns = await ann.device()
    full = {"clientId": new_key(), **({"to": bob.id} if body else {}), **body}
    if body.get("text") == "to nobody":
        del full["to"]

    assert await anns.refused("send_message", full) in {"invalid_payload", "unknown_field"}
    assert (await ann.http.get(f"/api/messages/{bob.id}")).data == []


async def test_only_members_enter_read_or_mark_a_conversation(ann: Person, bob: Person, cyd: Person) -> None:
    anns, cyds = await ann.device(), await cyd.device()
    sent = await anns.send("private", to=bob.id)
    conversation = sent["conversationId"]

    assert await cyds.refused("join_room", {"conversationId": conversation}) == "not_found"
    assert await cyds.refused("mark_read", {"conversationId": conversation, "seq": 1}) == "not_found"
    assert await cyds.refused("mark_read", {"messageId": sent["id"]}) == "not_found"
    assert await cyds.refused("typing", {"conversationId": conversation, "isTyping": True}) == "not_found"
    assert await cyds.refused("leave_room", {"conversationId": conversation}) == "not_found"
    assert (await cyds.call("sync", {"streams": {conversation: 0}}))["gone"] == [conversation]
    for path in ("", "/messages"):
        assert (await cyd.http.get(f"/api/conversations/{conversation}{path}")).status == 404


async def test_the_list_is_ordered_by_activity_and_its_pages_neither_skip_nor_repeat(
    ann: Person,
) -> None:
    others = [await sign_up(ann.http.url, f"friend{n}") for n in range(5)]
    anns = await ann.device()
    for other in others:
        await anns.send("hi", to=other.id)

    async def order() -> list[str]:
        data = (await ann.http.get("/api/messages/conversations")).data
        return [next(m["userId"] for m in c["members"] if m["userId"] != ann.id) for c in data]

    async def is_ordered() -> bool:
        return await order() == [other.id for other in reversed(others)]

    await eventually(is_ordered)
    first = await ann.http.get("/api/messages/conversations?limit=2")
    cursor = first.body["pagination"]["next_cursor"]
    second = await ann.http.get("/api/messages/conversations", params={"limit": 3, "cursor": cursor})
    ids = [c["id"] for c in first.data + second.data]
    assert len(set(ids)) == 5
    assert second.body["pagination"]["next_cursor"] is None
    assert first.data[0]["lastMessage"]["text"] == "hi"
    for other in others:
        await other.leave()


async def test_history_with_somebody_one_never_talked_to_is_empty_and_with_nobody_is_not_found(
    ann: Person, bob: Person
) -> None:
    assert (await ann.http.get(f"/api/messages/{bob.id}")).data == []
    assert (await ann.http.get(f"/api/messages/{new_key()}")).status == 404


async def test_who_is_blocked_finds_nobody_and_is_told_nothing(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    sent = await bobs.send("hello", to=ann.id)
    conversation = sent["conversationId"]

    assert (await ann.http.post("/api/friends/block", {"userId": bob.id})).status == 200

    for device, other in ((bobs, ann), (anns, bob)):
        assert await device.refused("join_room", {"friendId": other.id}) == "not_found"
        assert (
            await device.refused("typing", {"conversationId": conversation, "isTyping": True}) == "not_found"
        )
        assert await device.refused("mark_read", {"messageId": sent["id"]}) == "not_found"
        body = {"to": other.id, "text": "still there?", "clientId": new_key()}
        assert await device.refused("send_message", body) == "not_found"
        assert (await device.call("sync", {"streams": {conversation: 0}}))["gone"] == [conversation]
    assert (await bob.http.get(f"/api/messages/{ann.id}")).status == 404
    assert (await bob.http.get("/api/messages/conversations")).data == []
    assert await bobs.hears_nothing_but("conversation_updated", "new_message", "message_delivered")

    assert (await ann.http.post("/api/friends/unblock", {"userId": bob.id})).status == 200
    assert (await bobs.send("again", to=ann.id))["seq"] == 2


async def test_a_message_to_oneself_or_to_nobody_is_refused(ann: Person) -> None:
    anns = await ann.device()
    assert (
        await anns.refused("send_message", {"to": ann.id, "text": "x", "clientId": "1"}) == "invalid_payload"
    )
    assert await anns.refused("send_message", {"to": new_key(), "text": "x", "clientId": "2"}) == "not_found"
