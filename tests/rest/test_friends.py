"""Friends, requests and blocks, through the doors that people use."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from common.ids import new_id
from documents.friends import Block
from realtime.features.friends import rules
from tests.clients import Http, Json, Person, Reply, eventually
from tests.conftest import Node, SignUp

ASKED, ACCEPTED, REMOVED, BLOCKED = "friend_request", "friend_accepted", "friend_removed", "block_changed"
NOTIFIED = "notification", "notification_removed"


async def do(person: Person, verb: str, other: str, **fields: Json) -> Reply:
    return await person.http.post(f"/api/friends/{verb}", {"userId": other, **fields})


async def state(person: Person, verb: str, other: Person) -> str:
    reply = await do(person, verb, other.id)
    assert reply.status == 200, reply.body
    assert reply.data["userId"] == other.id
    return reply.data["state"]


async def friends_of(person: Person, whose: Person | None = None) -> list[str]:
    reply = await person.http.get(f"/api/friends/{(whose or person).id}")
    assert reply.status == 200, reply.body
    assert reply.body["pagination"]["total"] == len(reply.data)
    return [row["user"]["id"] for row in reply.data]


async def requests(person: Person, direction: str) -> list[str]:
    reply = await person.http.get("/api/friends/requests", params={"direction": direction})
    assert reply.status == 200, reply.body
    assert all(row["direction"] == direction for row in reply.data)
    return [row["user"]["id"] for row in reply.data]


async def set_privacy(person: Person, privacy: str) -> None:
    changed = {"settings": {"privacy": privacy}}
    assert (await person.http.patch(f"/api/users/{person.id}/profile", changed)).status == 200


# -- requests


async def test_l25_a_request_reaches_the_other_and_is_accepted(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()

    assert await state(ann, "request", bob) == "request_sent"
    asked = await bobs.wait_for(ASKED)
    assert await requests(bob, "incoming") == [ann.id]
    assert await requests(ann, "outgoing") == [bob.id]
    assert await friends_of(ann) == []
    assert await state(bob, "accept", ann) == "friends"
    told = await anns.wait_for(ACCEPTED), await bobs.wait_for(ACCEPTED)

    assert (asked["fromId"], asked["toId"]) == (ann.id, bob.id)
    assert [said["userId"] for said in told] == [bob.id, ann.id]
    assert all(said["pos"] > asked["pos"] for said in told)
    assert await friends_of(ann) == [bob.id]
    assert await friends_of(bob) == [ann.id]
    assert await requests(bob, "incoming") == await requests(ann, "outgoing") == []


async def test_l25_asking_again_changes_nothing(ann: Person, bob: Person) -> None:
    bobs = await bob.device()

    states = await asyncio.gather(*(state(ann, "request", bob) for _ in range(20)))

    assert set(states) == {"request_sent"}
    assert await bobs.wait_for(ASKED)
    assert await bobs.hears_nothing_but(ASKED, *NOTIFIED)
    assert len(bobs.all(ASKED)) == 1
    assert await friends_of(ann) == await friends_of(bob) == []


async def test_l25_two_crossing_requests_become_one_friendship(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()

    states = await asyncio.gather(
        *(state(who, "request", other) for _ in range(25) for who, other in ((ann, bob), (bob, ann)))
    )

    assert set(states) <= {"request_sent", "friends"}
    assert "friends" in states
    assert await friends_of(ann) == [bob.id]
    assert await friends_of(bob) == [ann.id]
    for device in (anns, bobs):
        await device.wait_for(ACCEPTED)
        assert await device.hears_nothing_but(ASKED, ACCEPTED, "user_online", *NOTIFIED)
        assert len(device.all(ACCEPTED)) == len(device.all(ASKED)) == 1


async def test_l25_a_hundred_concurrent_accepts_make_one_friendship(ann: Person, bob: Person) -> None:
    anns, bobs = await ann.device(), await bob.device()
    await state(ann, "request", bob)

    states = await asyncio.gather(*(state(bob, "accept", ann) for _ in range(100)))

    assert Counter(states) == {"friends": 100}
    assert await friends_of(ann) == [bob.id]
    for device in (anns, bobs):
        await device.wait_for(ACCEPTED)
        assert await device.hears_nothing_but(ASKED, ACCEPTED, "user_online", *NOTIFIED)
        assert len(device.all(ACCEPTED)) == 1


async def test_l25_only_who_was_asked_answers_and_only_who_asked_takes_it_back(
    ann: Person, bob: Person, cyd: Person
) -> None:
    await state(ann, "request", bob)

    for who, verb, other in (
        (ann, "accept", bob),
        (ann, "reject", bob),
        (bob, "cancel", ann),
        (cyd, "accept", ann),
        (bob, "accept", cyd),
    ):
        assert (await do(who, verb, other.id)).code == "not_found"

    assert await state(bob, "reject", ann) == "none"
    assert (await do(bob, "accept", ann.id)).status == 404
    assert await state(ann, "request", bob) == "request_sent"
    assert await state(ann, "cancel", bob) == "none"
    assert (await do(bob, "accept", ann.id)).status == 404
    assert await requests(bob, "incoming") == await friends_of(bob) == []


async def test_l25_of_accepting_rejecting_and_cancelling_at_once_one_happens(
    ann: Person, bob: Person
) -> None:
    for _ in range(10):
        await state(ann, "request", bob)

        replies = await asyncio.gather(
            do(bob, "accept", ann.id), do(bob, "reject", ann.id), do(ann, "cancel", bob.id)
        )

        assert sorted(reply.status for reply in replies) == [200, 404, 404]
        accepted = replies[0].status == 200
        assert await friends_of(ann) == await friends_of(ann) == ([bob.id] if accepted else [])
        if accepted:
            await ann.http.delete(f"/api/friends/{bob.id}")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_payload"),
        ({"userId": "ann"}, "invalid_payload"),
        ({"userId": {"$ne": None}}, "invalid_payload"),
        ({"userId": "11111111-1111-4111-8111-111111111111", "as": "ann"}, "unknown_field"),
        (
            {
                "userId": "11111111-1111-4111-8111-111111111111",
                "friendId": "21111111-1111-4111-8111-111111111111",
            },
            "invalid_payload",
        ),
        ({"userId": "11111111-1111-4111-8111-111111111111"}, "not_found"),
    ],
)
async def test_a_request_names_one_person_who_exists(ann: Person, body: Json, code: str) -> None:
    assert (await ann.http.post("/api/friends/request", body)).code == code


async def test_nobody_is_their_own_friend(ann: Person) -> None:
    for verb in ("request", "accept", "block"):
        assert (await do(ann, verb, ann.id)).status == 422


async def test_l26_a_friendship_ends_for_both(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    anns, bobs = await ann.device(), await bob.device()

    replies = await asyncio.gather(*(ann.http.delete(f"/api/friends/{bob.id}") for _ in range(5)))

    assert sorted(reply.status for reply in replies) == [200, 404, 404, 404, 404]
    assert (await anns.wait_for(REMOVED))["userId"] == bob.id
    assert (await bobs.wait_for(REMOVED))["userId"] == ann.id
    assert await friends_of(ann) == await friends_of(bob) == []


async def test_what_happened_meanwhile_is_in_the_log(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    await ann.http.delete(f"/api/friends/{bob.id}")

    device = await bob.device()
    entries = (await device.call("sync", {"updates": 0}))["updates"]["entries"]

    of_friends = [entry["event"] for entry in entries if entry["event"] not in NOTIFIED]
    assert of_friends == [ASKED, ACCEPTED, REMOVED]
    assert [entry["pos"] for entry in entries] == [*range(1, len(entries) + 1)]


async def test_requests_are_bounded(
    ann: Person, bob: Person, cyd: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_REQUESTS", 1)
    await state(ann, "request", bob)

    assert (await do(ann, "request", cyd.id)).code == "too_many_friend_requests"
    await state(bob, "accept", ann)
    monkeypatch.setattr(rules, "MAX_FRIENDS", 1)
    await state(cyd, "request", ann)
    assert (await do(ann, "accept", cyd.id)).code == "too_many_friends"
    monkeypatch.setattr(rules, "MAX_BLOCKED", 0)
    assert (await do(ann, "block", cyd.id)).code == "too_many_blocked"


# -- lists


async def test_l26_friends_are_shown_as_privacy_has_it(ann: Person, bob: Person, cyd: Person) -> None:
    await ann.befriend(bob)
    path, names = f"/api/friends/{ann.id}", f"/api/get_friends/{ann.handle}/"

    for privacy, allowed in (
        ("public", {"ann", "bob", "cyd"}),
        ("friends", {"ann", "bob"}),
        ("private", {"ann"}),
    ):
        await set_privacy(ann, privacy)
        for name, viewer in (("ann", ann), ("bob", bob), ("cyd", cyd)):
            replies = await viewer.http.get(path), await viewer.http.get(names)
            for reply in replies:
                assert reply.status == (200 if name in allowed else 403)
                assert name in allowed or reply.code == "friends_hidden"


async def test_a_list_neither_skips_nor_repeats_while_it_grows(ann: Person, join: SignUp) -> None:
    people = [await join(f"friend{n}") for n in range(7)]
    for person in people[:6]:
        await person.befriend(ann)
    seen: list[str] = []
    page = await ann.http.get(f"/api/friends/{ann.id}?limit=2")
    await people[6].befriend(ann)

    while True:
        seen += [row["user"]["id"] for row in page.data]
        cursor = page.body["pagination"]["next_cursor"]
        if cursor is None:
            break
        page = await ann.http.get(f"/api/friends/{ann.id}", params={"limit": "2", "cursor": cursor})

    assert seen == [person.id for person in reversed(people[:6])]
    last = await ann.http.get(f"/api/friends/{ann.id}?page=2&per_page=4")
    assert [row["user"]["id"] for row in last.data] == [person.id for person in reversed(people[:3])]
    assert last.body["pagination"] == {"page": 2, "limit": 4, "total": 7, "pages": 2, "next_cursor": None}


async def test_a_cursor_fits_only_its_own_list(ann: Person, bob: Person, cyd: Person) -> None:
    for friend in (bob, cyd):
        await friend.befriend(ann)
    page = await ann.http.get(f"/api/friends/{ann.id}?limit=1")
    params = {"cursor": page.body["pagination"]["next_cursor"]}

    assert (await ann.http.get(f"/api/friends/{ann.id}", params=params)).status == 200
    for who, path in (
        (ann, f"/api/friends/{bob.id}"),
        (ann, "/api/friends/blocked"),
        (bob, f"/api/friends/{ann.id}"),
    ):
        assert (await who.http.get(path, params=params)).code == "bad_cursor"


async def test_l27_friends_that_both_have_are_counted(
    ann: Person, bob: Person, cyd: Person, join: SignUp
) -> None:
    for friend in (ann, bob):
        await friend.befriend(cyd)
        await friend.befriend(await join("dan"))

    reply = await ann.http.get(f"/api/friends/mutual/{bob.id}")

    assert reply.data["count"] == 1
    assert [user["id"] for user in reply.data["users"]] == [cyd.id]


# -- the meetup app


async def test_p13_p14_requests_are_sent_and_accepted_by_username(ann: Person, bob: Person) -> None:
    names = {"from": ann.handle, "to": bob.handle, "timestamp": "ignored"}

    sent = await ann.http.post("/api/friend-requests/send/", names)
    accepted = await bob.http.post("/api/friend-requests/accept/", names)

    assert (sent.status, sent.body["success"]) == (200, True)
    assert (accepted.status, accepted.body["success"]) == (200, True)
    assert await friends_of(ann) == [bob.id]


async def test_p13_p14_the_actor_is_the_caller(ann: Person, bob: Person, cyd: Person) -> None:
    names = {"from": ann.handle, "to": bob.handle}
    sent = [await who.http.post("/api/friend-requests/send/", names) for who in (bob, cyd)]
    await ann.http.post("/api/friend-requests/send/", names)
    accepted = [await who.http.post("/api/friend-requests/accept/", names) for who in (ann, cyd)]
    nobody = await ann.http.post("/api/friend-requests/send/", {"from": "nobody-there", "to": bob.handle})

    assert [reply.code for reply in (*sent, *accepted, nobody)] == ["wrong_actor"] * 5
    assert await friends_of(ann) == []
    assert (await ann.http.post("/api/friend-requests/send/", {"from": ann.handle})).status == 422
    unknown = {"from": ann.handle, "to": "nobody-there"}
    assert (await ann.http.post("/api/friend-requests/send/", unknown)).status == 404


async def test_p15_friends_are_listed_by_username(ann: Person, bob: Person, cyd: Person) -> None:
    for friend in (bob, cyd):
        await friend.befriend(ann)

    for path in (f"/api/get_friends/{ann.handle}/", f"/api/get_friends/{ann.handle.upper()}"):
        reply = await bob.http.get(path)
        assert reply.body["friends"] == reply.data["friends"] == sorted([bob.handle, cyd.handle])

    assert (await bob.http.get("/api/get_friends/nobody-there/")).status == 404


# -- blocks


async def test_l27_a_block_ends_friendship_and_requests_and_tells_only_that(
    ann: Person, bob: Person, cyd: Person
) -> None:
    await ann.befriend(bob)
    await state(cyd, "request", ann)
    anns, bobs, cyds = await ann.device(), await bob.device(), await cyd.device()

    for other in (bob, cyd):
        assert await state(ann, "block", other) == "none"

    for device in (bobs, cyds):
        assert (await device.wait_for(REMOVED))["userId"] == ann.id
        assert await device.hears_nothing_but(REMOVED, "user_online", *NOTIFIED)
    assert [said["blocked"] for said in anns.all(BLOCKED)] == [True, True]
    assert await friends_of(ann) == await requests(ann, "incoming") == await requests(cyd, "outgoing") == []
    blocked = await ann.http.get("/api/friends/blocked")
    assert [row["user"]["id"] for row in blocked.data] == [cyd.id, bob.id]
    assert (await bob.http.get("/api/friends/blocked")).data == []


async def test_l27_who_is_blocked_cannot_tell_it_from_absence(ann: Person, bob: Person) -> None:
    nobody = new_id()
    await state(ann, "block", bob)

    for verb in ("request", "accept", "reject", "cancel", "block", "unblock"):
        _same(await do(bob, verb, ann.id), await do(bob, verb, nobody))
        if verb not in {"block", "unblock"}:
            _same(await do(ann, verb, bob.id), await do(ann, verb, nobody))
    for path in ("/api/friends/{}", "/api/friends/mutual/{}", "/api/users/{}"):
        _same(await bob.http.get(path.format(ann.id)), await bob.http.get(path.format(nobody)))
        _same(await ann.http.get(path.format(bob.id)), await ann.http.get(path.format(nobody)))
    _same(await bob.http.delete(f"/api/friends/{ann.id}"), await bob.http.delete(f"/api/friends/{nobody}"))
    by_name = [await bob.http.get(f"/api/get_friends/{name}/") for name in (ann.handle, "nobody-there")]
    _same(*by_name)
    sent = [
        await bob.http.post("/api/friend-requests/send/", {"from": bob.handle, "to": name})
        for name in (ann.handle, "nobody-there")
    ]
    _same(*sent)
    assert (await ann.http.get("/api/friends/blocked")).body["pagination"]["total"] == 1


def _same(one: Reply, other: Reply) -> None:
    def said(reply: Reply) -> dict[str, Any]:
        return {name: value for name, value in reply.body.items() if name != "request_id"}

    assert one.status == other.status == 404
    assert said(one) == said(other)


async def test_l27_blocked_people_are_missing_from_the_lists_of_others(
    ann: Person, bob: Person, cyd: Person
) -> None:
    for friend in (ann, bob):
        await friend.befriend(cyd)
    await state(ann, "block", bob)

    assert await friends_of(bob, whose=cyd) == [bob.id]
    assert await friends_of(ann, whose=cyd) == [ann.id]
    names = await bob.http.get(f"/api/get_friends/{cyd.handle}/")
    assert names.body["friends"] == [bob.handle]


async def test_l27_taking_a_block_back_restores_nothing_but_the_view(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    await state(ann, "block", bob)
    assert await state(ann, "block", bob) == "none"

    assert await state(ann, "unblock", bob) == "none"
    assert await state(ann, "unblock", bob) == "none"

    assert await friends_of(bob) == []
    assert (await ann.http.get("/api/friends/blocked")).data == []
    assert await state(bob, "request", ann) == "request_sent"


async def test_no_request_slips_past_a_block(join: SignUp) -> None:
    ann = await join("ann")
    people = [await join(f"caller{n}") for n in range(10)]

    async def ask_soon(person: Person, delay: float) -> None:
        await asyncio.sleep(delay)
        assert (await do(person, "request", ann.id)).status in {200, 404}

    for person in people:
        requests_around_it = (ask_soon(person, step / 1000) for step in range(10))
        await asyncio.gather(do(ann, "block", person.id), *requests_around_it)
    for person in people:
        await state(ann, "unblock", person)

    assert await requests(ann, "incoming") == []
    assert [await requests(person, "outgoing") for person in people] == [[]] * len(people)


async def test_a_block_that_was_cut_short_holds_all_the_same(ann: Person, bob: Person, cyd: Person) -> None:
    for friend in (ann, cyd):
        await friend.befriend(bob)
    await Block.place(ann.id, bob.id)  # and then the node died, before it ended the friendship
    anns, bobs = await ann.device(), await bob.device()
    await cyd.device()
    await bobs.wait_for("user_online", lambda said: said["userId"] == cyd.id)

    assert await friends_of(ann) == []
    assert await friends_of(bob) == [cyd.id]
    for device, other in ((anns, bob), (bobs, ann)):
        assert (await device.call("presence_query", {"userIds": [other.id]}))["states"] == []
        assert all(said["userId"] != other.id for said in device.all("user_online"))
    assert await state(ann, "block", bob) == "none"
    await state(ann, "unblock", bob)
    assert await friends_of(bob) == [cyd.id]


async def test_a_block_holds_at_once_here_and_within_two_seconds_on_the_other_node(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    here, there = await bob.device(one.url), await bob.device(other.url)
    for device in (here, there):
        await device.send("hello", to=ann.id)

    await state(ann, "block", bob)

    message = {"to": ann.id, "text": "still there?", "clientId": new_id()}
    assert await here.refused("send_message", message) == "not_found"

    async def is_refused() -> bool:
        return not (await there.ack("send_message", {**message, "clientId": new_id()}))["ok"]

    await eventually(is_refused, seconds=2)
    assert await there.refused("send_message", {**message, "clientId": new_id()}) == "not_found"


async def test_friends_are_for_people_who_logged_in(plaza: Node) -> None:
    async with Http(plaza.url) as nobody:
        for path in ("/api/friends/requests", "/api/friends/blocked", f"/api/friends/{new_id()}"):
            assert (await nobody.get(path)).status == 401
        assert (await nobody.post("/api/friends/block", {"userId": new_id()})).status == 401
