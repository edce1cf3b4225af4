"""Group changes in their one order: told once, healed by a retry, one owner whatever races."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from common.errors import Unavailable
from documents.conversations import Conversation, Departure, Member
from documents.rows import rows
from documents.updates import Update
from tests.clients import Person, Reply, new_key
from tests.conftest import Node, SignUp


async def group_of(owner: Person, *others: Person) -> str:
    body = {"name": "club", "memberIds": [other.id for other in others]}
    reply = await owner.http.post("/api/conversations", body)
    assert reply.status == 201, reply.body
    return reply.data["id"]


@contextmanager
def telling_fails(node: Node) -> Iterator[None]:
    """What is stored is not told: the logs do not answer."""
    with pytest.MonkeyPatch.context() as patch:

        async def fail(*_: object, **__: object) -> None:
            raise Unavailable

        patch.setattr(node.services.updates, "append", fail)
        yield


@contextmanager
def telling_is_late(node: Node, started: asyncio.Event, go_on: asyncio.Event) -> Iterator[None]:
    """What is stored is told only when the test says so."""
    with pytest.MonkeyPatch.context() as patch:
        append = node.services.updates.append

        async def late(*args: Any, **options: Any) -> None:
            started.set()
            await go_on.wait()
            await append(*args, **options)

        patch.setattr(node.services.updates, "append", late)
        yield


async def set_role(owner: Person, group: str, who: Person, role: str = "member", url: str = "") -> Reply:
    path = f"{url}/api/conversations/{group}/members"
    return await owner.http.post(path, {"userId": who.id, "role": role})


async def remove(person: Person, group: str, who: Person, url: str = "") -> Reply:
    return await person.http.delete(f"{url}/api/conversations/{group}/members/{who.id}")


async def owners(group: str) -> list[str]:
    return [member.user for member in await Member.find({"conversation": group, "role": "owner"}).to_list()]


async def logged(person: Person, change: str) -> list[dict[str, Any]]:
    found = Update.find({"user": person.id, "data.change": change}).sort("+pos")
    return [entry.data for entry in await found.to_list()]


async def test_who_is_added_is_told_by_the_retry_when_the_first_try_could_not(
    plaza: Node, ann: Person, bob: Person, cyd: Person
) -> None:
    group = await group_of(ann, bob)
    anns, bobs, cyds = await ann.device(), await bob.device(), await cyd.device()
    with telling_fails(plaza):
        assert (await set_role(ann, group, cyd)).status == 503

    for _ in range(2):
        assert (await set_role(ann, group, cyd)).status == 200
    await anns.send("welcome", conversationId=group)

    await cyds.wait_for("new_message")
    await bobs.wait_for("new_message")
    assert [said["change"] for said in cyds.all("conversation_updated")] == ["created", "member_added"]
    assert [said["userId"] for said in bobs.all("conversation_updated")] == [cyd.id]


async def test_a_role_is_told_by_the_retry_when_the_first_try_could_not(
    plaza: Node, ann: Person, bob: Person
) -> None:
    group = await group_of(ann, bob)
    with telling_fails(plaza):
        assert (await set_role(ann, group, bob, "owner")).status == 503

    for _ in range(2):
        assert (await set_role(ann, group, bob, "owner")).status == 200

    told = await logged(bob, "role_changed")
    assert [(said["userId"], said["role"]) for said in told] == [(ann.id, "admin"), (bob.id, "owner")]
    assert await owners(group) == [bob.id]


async def test_a_removal_is_told_by_the_retry_when_the_first_try_could_not(
    plaza: Node, ann: Person, bob: Person, cyd: Person
) -> None:
    group = await group_of(ann, bob, cyd)
    anns, bobs, cyds = await ann.device(), await bob.device(), await cyd.device()
    with telling_fails(plaza):
        assert (await remove(ann, group, cyd)).status == 503
    assert (await cyd.http.get(f"/api/conversations/{group}")).status == 404

    for _ in range(2):
        assert (await remove(ann, group, cyd)).status == 200
    await anns.send("among us", conversationId=group)

    await bobs.wait_for("new_message")
    assert await cyds.hears_nothing_but("conversation_updated")
    assert [said["change"] for said in bobs.all("conversation_updated")] == ["member_removed"]


async def test_who_left_may_ask_again_and_who_never_was_there_may_not(
    ann: Person, bob: Person, cyd: Person
) -> None:
    group = await group_of(ann, bob)

    assert [(await remove(bob, group, bob)).status for _ in range(2)] == [200, 200]
    assert (await remove(ann, group, bob)).status == 200
    assert (await remove(ann, group, cyd)).status == 404
    assert (await remove(cyd, group, cyd)).status == 404
    assert (await remove(cyd, group, bob)).status == 404
    assert (await ann.http.get(f"/api/conversations/{group}")).data["memberCount"] == 1


async def test_a_departure_nobody_told_of_is_told_without_anybody_asking(
    plaza: Node, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await group_of(ann, bob)
    bobs = await bob.device()
    with telling_fails(plaza):
        assert (await remove(ann, group, ann)).status == 503

    monkeypatch.setattr("realtime.features.groups.service.groups.LATE", timedelta())
    await plaza.services.groups.finish_departures()

    said = await bobs.wait_for("conversation_updated", lambda said: said["change"] == "role_changed")
    assert (said["userId"], said["role"]) == (bob.id, "owner")
    departure = await Departure.last_of(group, ann.id)
    assert departure is not None
    assert departure.told


async def test_beyond_the_limit_the_conversations_without_activity_are_not_live(
    ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.features.conversations.service.MAX_CONVERSATIONS", 2)
    groups = [await group_of(ann, bob) for _ in range(3)]
    anns = await ann.device()
    for group in groups[::2]:
        await anns.send("awake", conversationId=group)
    await ann.http.get("/api/messages/conversations")
    bobs = await bob.device()

    for group in (groups[1], groups[0], groups[2]):
        await anns.send("now", conversationId=group)

    await bobs.wait_for("new_message", lambda said: said["conversationId"] == groups[2])
    assert [said["conversationId"] for said in bobs.all("new_message")] == groups[::2]


async def test_the_last_name_in_the_logs_is_the_name_of_the_group(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)
    await set_role(ann, group, bob, "admin")

    await asyncio.gather(
        *(
            who.http.patch(f"/api/conversations/{group}", {"name": f"{name}{n}"})
            for n in range(20)
            for who, name in ((ann, "a"), (bob, "b"))
        )
    )

    shown = (await ann.http.get(f"/api/conversations/{group}")).data
    for person in (ann, bob):
        told = await logged(person, "renamed")
        assert [said["version"] for said in told] == list(range(3, 43))
        assert (told[-1]["name"], told[-1]["version"]) == (shown["name"], shown["version"])


async def test_every_change_has_a_higher_version_than_the_one_before(
    ann: Person, bob: Person, cyd: Person
) -> None:
    group = await group_of(ann, bob)
    await set_role(ann, group, cyd)
    await set_role(ann, group, bob, "admin")
    await ann.http.patch(f"/api/conversations/{group}", {"name": "ours"})
    await remove(ann, group, cyd)

    entries = await Update.find({"user": bob.id, "data.conversationId": group}).sort("+pos").to_list()

    assert [(entry.data["change"], entry.data["version"]) for entry in entries] == [
        ("created", 1),
        ("member_added", 2),
        ("role_changed", 3),
        ("renamed", 4),
        ("member_removed", 5),
    ]
    assert (await bob.http.get(f"/api/conversations/{group}")).data["version"] == 5


async def test_who_is_added_again_at_once_goes_on_hearing(
    plaza: Node, ann: Person, bob: Person, cyd: Person
) -> None:
    group = await group_of(ann, bob, cyd)
    await set_role(ann, group, bob, "admin")
    anns, cyds = await ann.device(), await cyd.device()
    started, go_on = asyncio.Event(), asyncio.Event()
    with telling_is_late(plaza, started, go_on):
        removing = asyncio.create_task(remove(ann, group, cyd))
        await started.wait()
        adding = asyncio.create_task(set_role(bob, group, cyd))
        await asyncio.sleep(0.05)
        go_on.set()
        assert [(await task).status for task in (removing, adding)] == [200, 200]

    await anns.send("hello", conversationId=group)

    await cyds.wait_for("new_message")
    changes = [said["change"] for said in cyds.all("conversation_updated")]
    assert changes == ["member_removed", "created", "member_added"]


async def test_a_removal_told_late_does_not_silence_who_came_back_on_another_node(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, cyd = await join("ann", one.url), await join("cyd", one.url)
    group = await group_of(ann, cyd)
    anns, cyds = await ann.device(), await cyd.device(other.url)
    started, go_on = asyncio.Event(), asyncio.Event()
    with telling_is_late(one, started, go_on):
        removing = asyncio.create_task(remove(ann, group, cyd))
        await started.wait()
        assert (await set_role(ann, group, cyd, url=other.url)).status == 200
        go_on.set()
        assert (await removing).status == 200

    await anns.send("hello", conversationId=group)

    await cyds.wait_for("new_message")


async def test_an_addition_told_late_does_not_let_who_left_on_another_node_listen(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, cyd = await join("ann", one.url), await join("cyd", one.url)
    group = await group_of(ann)
    anns, cyds = await ann.device(), await cyd.device(other.url)
    started, go_on = asyncio.Event(), asyncio.Event()
    with telling_is_late(one, started, go_on):
        adding = asyncio.create_task(set_role(ann, group, cyd))
        await started.wait()
        assert (await remove(ann, group, cyd, url=other.url)).status == 200
        go_on.set()
        assert (await adding).status == 200

    await cyds.wait_for("conversation_updated", lambda said: said["change"] == "created")
    await anns.send("among us", conversationId=group)

    await asyncio.sleep(0.2)
    assert cyds.all("new_message") == []
    assert (await logged(cyd, "member_removed"))[-1]["version"] == 3


async def test_a_role_that_changed_meanwhile_is_not_overwritten(
    two_nodes: tuple[Node, Node], join: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    group = await group_of(ann, bob)
    change, go_on = one.services.database.transaction, asyncio.Event()
    begun: list[object] = []

    async def slow(work: Any) -> Any:
        begun.append(work)
        if len(begun) == 1:
            await go_on.wait()
        return await change(work)

    monkeypatch.setattr(one.services.database, "transaction", slow)
    demoting = asyncio.create_task(set_role(ann, group, bob, "admin"))
    await asyncio.sleep(0.1)
    assert (await set_role(ann, group, bob, "owner", other.url)).status == 200
    go_on.set()

    assert (await demoting).status == 403
    assert await owners(group) == [bob.id]


async def test_the_owner_cannot_step_down_without_an_heir(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)

    for role in ("admin", "member"):
        assert (await set_role(ann, group, ann, role)).code == "owner_stays"

    assert await owners(group) == [ann.id]


async def test_whatever_races_a_group_has_exactly_one_owner(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    nodes = [node.url for node in two_nodes]
    people = [await join(f"p{n}", nodes[0]) for n in range(6)]
    for _ in range(4):
        group = await group_of(*people)
        await set_role(people[0], group, people[1], "admin")
        changes = [
            set_role(people[0], group, to, role, nodes[n % 2])
            for n, (to, role) in enumerate(
                zip(people[1:] * 4, ["owner", "admin", "member", "owner"] * 5, strict=True)
            )
        ]
        changes += [
            set_role(people[1], group, people[2], "owner", nodes[1]),
            set_role(people[1], group, people[3], "owner", nodes[0]),
            remove(people[0], group, people[0], nodes[0]),
            remove(people[1], group, people[1], nodes[1]),
            remove(people[0], group, people[2], nodes[1]),
            remove(people[1], group, people[4], nodes[0]),
        ]

        replies = await asyncio.gather(*changes)

        assert {reply.status for reply in replies} <= {200, 403, 404, 409, 422}
        assert len(await owners(group)) == 1
        stored = await Conversation.get(group)
        assert stored is not None
        assert stored.member_count == len(await Member.ids_of(group))


async def test_founding_with_one_client_id_many_times_at_once_is_one_group(ann: Person, bob: Person) -> None:
    body = {"name": "club", "memberIds": [bob.id], "clientId": new_key()}

    replies = await asyncio.gather(*(ann.http.post("/api/conversations", body) for _ in range(10)))
    later = await ann.http.post("/api/conversations", body)

    assert {reply.status for reply in (*replies, later)} == {201}
    assert len({reply.data["id"] for reply in (*replies, later)}) == 1
    assert (later.data["memberCount"], later.data["role"]) == (2, "owner")
    assert len(await logged(bob, "created")) == 1
    theirs = await bob.http.post("/api/conversations", {**body, "memberIds": [ann.id]})
    assert theirs.data["id"] != later.data["id"]


async def test_without_a_client_id_every_founding_is_a_new_group(ann: Person) -> None:
    assert await group_of(ann) != await group_of(ann)


async def test_founding_again_tells_who_was_not_told_and_brings_nobody_back(
    plaza: Node, ann: Person, bob: Person, cyd: Person
) -> None:
    body = {"name": "club", "memberIds": [bob.id, cyd.id], "clientId": new_key()}
    anns, bobs = await ann.device(), await bob.device()
    with telling_fails(plaza):
        assert (await ann.http.post("/api/conversations", body)).status == 503
    group = Conversation.group_id(ann.id, body["clientId"])
    assert (await remove(cyd, group, cyd)).status == 200

    assert (await ann.http.post("/api/conversations", body)).status == 201

    assert sorted(await Member.ids_of(group)) == sorted([ann.id, bob.id])
    await anns.send("hello", conversationId=group)
    await bobs.wait_for("new_message")
    assert await logged(cyd, "created") == []


async def test_the_total_counts_what_the_list_lists(ann: Person, bob: Person, cyd: Person) -> None:
    anns = await ann.device()
    await anns.call("join_room", {"friendId": bob.id})
    await anns.send("hi", to=cyd.id)
    await group_of(ann)

    async def listed() -> tuple[int, int]:
        reply = await ann.http.get("/api/messages/conversations")
        return len(reply.data), reply.body["pagination"]["total"]

    assert await listed() == (2, 2)
    assert (await ann.http.post("/api/friends/block", {"userId": cyd.id})).status < 300
    assert await listed() == (1, 1)


async def test_pages_neither_skip_nor_repeat_after_a_crash_that_lost_when_lists_were_last_active(
    ann: Person,
) -> None:
    groups = [await group_of(ann) for _ in range(5)]
    anns = await ann.device()
    for group in groups:
        await anns.send("x", conversationId=group)
    await ann.http.get("/api/messages/conversations")
    for group in groups:
        stored = await Conversation.get(group)
        assert stored is not None
        older = stored.last_at - timedelta(hours=1)
        await rows(Conversation).update_one({"_id": group}, {"$set": {"last_at": older}})

    listed: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        where = f"&cursor={cursor}" if cursor else ""
        page = await ann.http.get(f"/api/messages/conversations?limit=2{where}")
        listed += [entry["id"] for entry in page.data]
        cursor = page.body["pagination"]["next_cursor"]

    assert listed == groups[::-1]


async def test_a_list_waits_for_the_order_that_is_being_written(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await group_of(ann) for _ in range(2)]
    write, begun = Conversation.touch, asyncio.Event()

    async def slow(heads: Any) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        await write(heads)

    monkeypatch.setattr(Conversation, "touch", slow)
    await (await ann.device()).send("x", conversationId=first)
    await begun.wait()

    listed = (await ann.http.get("/api/messages/conversations")).data

    assert [entry["id"] for entry in listed] == [first, second]


async def test_a_place_read_before_a_removal_is_not_remembered_after_it(
    plaza: Node, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await group_of(ann, bob)
    read, begun, go_on = Member.role_of, asyncio.Event(), asyncio.Event()

    async def slow(conversation: str, user: str) -> Any:
        found = await read(conversation, user)
        begun.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(Member, "role_of", slow)
    reading = asyncio.create_task(plaza.services.conversations.place(bob.id, group))
    await asyncio.wait_for(begun.wait(), 5)
    monkeypatch.undo()
    assert (await remove(ann, group, bob)).status == 200
    go_on.set()
    await reading

    assert (await bob.http.get(f"/api/conversations/{group}/messages")).status == 404


async def test_members_are_counted_up_to_a_limit(ann: Person, bob: Person, cyd: Person) -> None:
    group = await group_of(ann, bob, cyd)

    assert len(await Member.ids_of(group, 2)) == 2
    assert len(await Member.ids_of(group)) == 3
