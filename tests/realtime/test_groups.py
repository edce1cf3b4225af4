"""Groups: who belongs, in which role, and what everyone hears of it."""

import asyncio
from typing import Any

import pytest

from common.ids import new_id
from tests.clients import Person, sign_up
from tests.conftest import Node


async def group_of(owner: Person, *others: Person) -> str:
    body = {"name": "club", "memberIds": [other.id for other in others]}
    reply = await owner.http.post("/api/conversations", body)
    assert reply.status == 201, reply.body
    return reply.data["id"]


async def roles(person: Person, group: str) -> dict[str, str]:
    shown = (await person.http.get(f"/api/conversations/{group}")).data
    return {member["userId"]: member["role"] for member in shown["members"]}


async def test_a_group_message_reaches_every_member_in_one_order(
    ann: Person, bob: Person, cyd: Person
) -> None:
    devices = [await person.device() for person in (ann, bob, cyd)]
    group = await group_of(ann, bob, cyd)

    await asyncio.gather(
        *(device.send(f"{n}", conversationId=group) for n in range(20) for device in devices)
    )

    for device in devices:
        await device.wait_until(lambda device=device: len(device.all("new_message")) == 60)
        assert [m["seq"] for m in device.all("new_message")] == list(range(1, 61))
    assert all(m["to"] is None for m in devices[0].all("new_message"))


async def test_members_are_told_of_the_group_by_their_log(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)

    entries = (await (await bob.device()).call("sync", {"updates": 0}))["updates"]["entries"]

    assert [(entry["data"]["conversationId"], entry["data"]["change"]) for entry in entries] == [
        (group, "created")
    ]


async def test_only_owner_and_admins_add_rename_and_remove(ann: Person, bob: Person, cyd: Person) -> None:
    group = await group_of(ann, bob)
    members = f"/api/conversations/{group}/members"

    assert (await bob.http.post(members, {"userId": cyd.id})).status == 403
    assert (await bob.http.patch(f"/api/conversations/{group}", {"name": "mine"})).status == 403
    assert (await bob.http.delete(f"{members}/{ann.id}")).status == 403
    assert (await cyd.http.post(members, {"userId": cyd.id})).status == 404
    assert (await ann.http.post(members, {"userId": bob.id, "role": "admin"})).status == 200
    assert (await bob.http.post(members, {"userId": cyd.id})).status == 200
    assert (await bob.http.patch(f"/api/conversations/{group}", {"name": "ours"})).data["name"] == "ours"
    assert (await bob.http.delete(f"{members}/{ann.id}")).status == 403
    assert (await bob.http.delete(f"{members}/{cyd.id}")).status == 200
    assert await roles(ann, group) == {ann.id: "owner", bob.id: "admin"}


async def test_nobody_promotes_themselves(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)
    for role in ("admin", "owner"):
        reply = await bob.http.post(f"/api/conversations/{group}/members", {"userId": bob.id, "role": role})
        assert reply.status == 403
    assert await roles(ann, group) == {ann.id: "owner", bob.id: "member"}


async def test_the_ownership_is_handed_over_and_stays_with_one(ann: Person, bob: Person, cyd: Person) -> None:
    group = await group_of(ann, bob, cyd)
    members = f"/api/conversations/{group}/members"

    replies = await asyncio.gather(
        *(ann.http.post(members, {"userId": who.id, "role": "owner"}) for who in (bob, cyd))
    )

    assert sorted(reply.status for reply in replies)[0] == 200
    assert sorted((await roles(ann, group)).values()).count("owner") == 1


async def test_an_owner_who_leaves_is_succeeded_by_the_longest_serving(
    ann: Person, bob: Person, cyd: Person
) -> None:
    group = await group_of(ann, bob)
    await ann.http.post(f"/api/conversations/{group}/members", {"userId": cyd.id, "role": "admin"})
    cyds = await cyd.device()

    assert (await ann.http.delete(f"/api/conversations/{group}/members/{ann.id}")).status == 200

    assert await roles(bob, group) == {bob.id: "member", cyd.id: "owner"}
    told = await cyds.wait_for("conversation_updated", lambda said: said["change"] == "role_changed")
    assert (told["userId"], told["role"]) == (cyd.id, "owner")


async def test_who_left_reads_nothing_any_more_and_hears_nothing(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)
    anns, bobs = await ann.device(), await bob.device()
    await anns.send("before", conversationId=group)
    await bobs.wait_for("new_message")

    assert (await bob.http.delete(f"/api/conversations/{group}/members/{bob.id}")).status == 200
    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "member_removed")
    await anns.send("after", conversationId=group)

    assert (await bob.http.get(f"/api/conversations/{group}/messages")).status == 404
    late = {"conversationId": group, "text": "x", "clientId": "k"}
    assert await bobs.refused("send_message", late) == "not_found"
    assert (await bobs.call("sync", {"streams": {group: 0}}))["gone"] == [group]
    assert [m["text"] for m in bobs.all("new_message")] == ["before"]


async def test_who_joins_later_reads_everything_and_has_nothing_unread(ann: Person, bob: Person) -> None:
    group = await group_of(ann)
    anns = await ann.device()
    for n in range(3):
        await anns.send(f"{n}", conversationId=group)

    await ann.http.post(f"/api/conversations/{group}/members", {"userId": bob.id})

    bobs = await bob.device()
    entered = await bobs.call("join_room", {"conversationId": group})
    assert (entered["seq"], entered["unread"]) == (3, 0)
    page = (await bobs.call("sync", {"streams": {group: 0}}))["streams"][group]
    assert [m["seq"] for m in page["messages"]] == [1, 2, 3]


async def test_adding_somebody_many_times_at_once_makes_one_member(ann: Person, bob: Person) -> None:
    group = await group_of(ann)
    members = f"/api/conversations/{group}/members"

    replies = await asyncio.gather(*(ann.http.post(members, {"userId": bob.id}) for _ in range(20)))

    assert {reply.status for reply in replies} == {200}
    shown = (await ann.http.get(f"/api/conversations/{group}")).data
    assert (shown["memberCount"], len(shown["members"])) == (2, 2)


async def test_a_group_is_never_over_its_limit(
    plaza: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.features.groups.service.groups.MAX_MEMBERS", 4)
    group = await group_of(ann)
    others = [await sign_up(plaza.url, "guest") for _ in range(8)]

    replies = await asyncio.gather(
        *(ann.http.post(f"/api/conversations/{group}/members", {"userId": o.id}) for o in others)
    )

    assert sorted(reply.status for reply in replies) == [200] * 3 + [409] * 5
    assert {reply.code for reply in replies if reply.status == 409} == {"group_full"}
    assert (await ann.http.get(f"/api/conversations/{group}")).data["memberCount"] == 4
    for other in others:
        await other.leave()


async def test_an_admin_deletes_what_a_member_said(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)
    anns, bobs = await ann.device(), await bob.device()
    said = await bobs.send("rude", conversationId=group)
    mine = await anns.send("polite", conversationId=group)

    await anns.call("delete_message", {"messageId": said["id"]})

    assert await bobs.refused("delete_message", {"messageId": mine["id"]}) == "forbidden"
    assert (await bobs.wait_for("message_deleted"))["messageId"] == said["id"]


async def test_muting_is_ones_own(ann: Person, bob: Person) -> None:
    group = await group_of(ann, bob)

    assert (await bob.http.patch(f"/api/conversations/{group}", {"muted": True})).data["muted"] is True

    assert (await ann.http.get(f"/api/conversations/{group}")).data["muted"] is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 101}, 422),
        ({"name": "x", "memberIds": "all"}, 422),
        ({"name": "x", "memberIds": ["nobody"]}, 422),
        ({"name": "x", "memberIds": [new_id()]}, 404),
        ({"name": "x", "memberIds": [], "ownerId": new_id()}, 422),
    ],
)
async def test_a_group_that_does_not_fit_is_refused(ann: Person, body: dict[str, Any], status: int) -> None:
    assert (await ann.http.post("/api/conversations", body)).status == status


async def test_a_direct_conversation_has_exactly_its_two_people(
    ann: Person, bob: Person, cyd: Person
) -> None:
    sent = await (await ann.device()).send("hi", to=bob.id)
    members = f"/api/conversations/{sent['conversationId']}/members"

    assert (await ann.http.post(members, {"userId": cyd.id})).code == "not_a_group"
    assert (await ann.http.delete(f"{members}/{bob.id}")).code == "not_a_group"
    renamed = await ann.http.patch(f"/api/conversations/{sent['conversationId']}", {"name": "us"})
    assert renamed.code == "not_a_group"
