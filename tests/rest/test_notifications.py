"""Notifications and what people choose about them, through the doors that people use."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest

from common.ids import new_id
from documents.notifications import Notification
from realtime.features.notifications import rules
from realtime.features.notifications.schemas import Note
from tests.clients import Device, Json, Person
from tests.conftest import Node, SignUp

PATH = "/api/notifications"


async def listed(person: Person, **query: Json) -> Json:
    reply = await person.http.get(PATH, params={"limit": 100, **query})
    assert reply.status == 200, reply.body
    return reply.body


async def keys_of(person: Person, **query: Json) -> list[Json]:
    return [row["data"]["post"] for row in (await listed(person, **query))["data"]]


def like(actor: Person, post: str = "p1", **data: Json) -> Note:
    text = f"{actor.handle} likes your post."
    return Note("post_like", post, text, actor_id=actor.id, data={"post": post, "by": actor.id, **data})


@pytest.fixture
async def tell(plaza: Node) -> AsyncIterator[Any]:
    yield plaza.services.notifications.notify


# -- the list


async def test_l30_who_is_asked_to_be_friends_finds_it_in_the_list_and_hears_it_live(
    ann: Person, bob: Person
) -> None:
    bobs = await bob.device()

    await ann.http.post("/api/friends/request", {"userId": bob.id})
    said = await bobs.wait_for("notification")
    body = await listed(bob)

    (row,) = body["data"]
    assert (row["type"], row["count"], row["read"]) == ("friend_request", 1, False)
    assert row["text"] == "ann asks you to be friends."
    assert row["actor"] == {"id": ann.id, "name": "ann", "handle": ann.handle, "avatar": None}
    assert row["data"]["userId"] == ann.id
    assert body["unreadCount"] == said["unreadCount"] == 1
    assert body["version"] == said["version"] == 1
    assert {name: said[name] for name in row} == row
    assert (await listed(ann))["data"] == []


@pytest.mark.parametrize("verb", ["cancel", "reject", "accept", "block"])
async def test_l30_a_request_that_no_longer_waits_is_no_notification_any_more(
    ann: Person, bob: Person, verb: str
) -> None:
    bobs = await bob.device()
    await ann.http.post("/api/friends/request", {"userId": bob.id})
    asked = await bobs.wait_for("notification")
    who, other = (ann, bob) if verb == "cancel" else (bob, ann)

    assert (await who.http.post(f"/api/friends/{verb}", {"userId": other.id})).status == 200

    said = await bobs.wait_for("notification_removed")
    assert (said["ids"], said["unreadCount"]) == ([asked["id"]], 0)
    body = await listed(bob)
    assert (body["data"], body["unreadCount"]) == ([], 0)


async def test_l30_who_asked_is_told_of_the_yes(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)

    (row,) = (await listed(ann))["data"]
    assert (row["type"], row["actor"]["id"]) == ("friend_accepted", bob.id)
    assert (await listed(bob))["data"] == []
    await ann.http.delete(f"/api/friends/{bob.id}")
    assert (await listed(ann))["data"] == []


async def test_l30_repeating_and_racing_commands_tell_once(ann: Person, bob: Person) -> None:
    for _ in range(3):
        asks = (ann.http.post("/api/friends/request", {"userId": bob.id}) for _ in range(10))
        assert {reply.status for reply in await asyncio.gather(*asks)} == {200}

    (row,) = (await listed(bob))["data"]
    assert row["count"] == 1
    assert (await listed(bob))["version"] == 1


async def test_l30_a_request_taken_back_at_once_leaves_nothing_behind(ann: Person, bob: Person) -> None:
    for _ in range(5):
        await asyncio.gather(
            ann.http.post("/api/friends/request", {"userId": bob.id}),
            ann.http.post("/api/friends/cancel", {"userId": bob.id}),
        )
        await ann.http.post("/api/friends/cancel", {"userId": bob.id})
        body = await listed(bob)
        assert (body["data"], body["unreadCount"]) == ([], 0)


async def test_l30_what_happens_again_is_one_notification_that_counts_and_moves_up(
    tell: Any, ann: Person, bob: Person, cyd: Person
) -> None:
    await tell(ann.id, like(bob))
    await tell(ann.id, like(bob, "p2"))
    await tell(ann.id, like(cyd))
    await asyncio.gather(*(tell(ann.id, like(cyd)) for _ in range(10)))

    body = await listed(ann)

    assert [(row["data"]["post"], row["count"], row["actor"]["id"]) for row in body["data"]] == [
        ("p1", 2, cyd.id),
        ("p2", 1, bob.id),
    ]
    assert body["unreadCount"] == 2
    assert body["data"][0]["text"] == f"{cyd.handle} likes your post."


async def test_l30_what_was_read_and_happens_again_is_unread_and_counts_from_one(
    tell: Any, ann: Person, bob: Person, cyd: Person
) -> None:
    await tell(ann.id, like(bob))
    (first,) = (await listed(ann))["data"]
    await ann.http.patch(f"{PATH}/{first['id']}/read")

    await tell(ann.id, like(bob))
    assert (await listed(ann))["unreadCount"] == 0
    await tell(ann.id, like(cyd))

    (again,) = (await listed(ann))["data"]
    assert (again["id"], again["count"], again["read"]) == (first["id"], 1, False)


async def test_l30_many_at_once_are_counted_exactly(tell: Any, plaza: Node, ann: Person, bob: Person) -> None:
    notes = [
        Note("post_like", f"p{n % 10}", "x", actor_id=bob.id, data={"post": f"p{n % 10}", "n": n})
        for n in range(100)
    ]

    await asyncio.gather(*(tell(ann.id, note) for note in notes))

    body = await listed(ann)
    assert [row["count"] for row in body["data"]] == [10] * 10
    assert (body["unreadCount"], body["version"]) == (10, 100)


async def test_l30_a_list_is_read_page_by_page_and_by_kind(tell: Any, ann: Person, bob: Person) -> None:
    for n in range(7):
        await tell(ann.id, like(bob, f"p{n}"))
    await tell(ann.id, Note("system", "welcome", "Welcome!", data={"post": "none"}))

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        body = await listed(ann, type="post_like", limit=3, **cursor)
        seen += [row["data"]["post"] for row in body["data"]]
        assert (body["pagination"]["total"], body["unreadCount"]) == (7, 8)
        if body["pagination"]["next_cursor"] is None:
            break
        cursor = {"cursor": body["pagination"]["next_cursor"]}

    assert seen == [f"p{n}" for n in reversed(range(7))]
    (system,) = (await listed(ann, type="system"))["data"]
    assert system["actor"] is None
    await ann.http.patch(f"{PATH}/{system['id']}/read")
    assert len((await listed(ann, unread="true"))["data"]) == 7
    other = await ann.http.get(PATH, params={**cursor, "type": "system"})
    assert (other.status, other.code) == (422, "bad_cursor")


@pytest.mark.parametrize("query", [{"type": "nonsense"}, {"unread": "perhaps"}, {"limit": 1000}, {"x": 1}])
async def test_l30_nonsense_is_refused(ann: Person, query: Json) -> None:
    assert (await ann.http.get(PATH, params=query)).status == 422


# -- reading and removing


async def test_l30_reading_is_told_to_all_devices_and_again_changes_nothing(
    tell: Any, ann: Person, bob: Person
) -> None:
    phone, laptop = await ann.device(), await ann.device()
    await tell(ann.id, like(bob))
    await tell(ann.id, like(bob, "p2"))
    rows = (await listed(ann))["data"]

    replies = [await ann.http.patch(f"{PATH}/{rows[0]['id']}/read") for _ in range(2)]

    assert [reply.data for reply in replies] == [{"unreadCount": 1, "version": 3}] * 2
    for device in (phone, laptop):
        said = await device.wait_for("notification_read")
        assert (said["ids"], said["unreadCount"], said["version"]) == ([rows[0]["id"]], 1, 3)
    assert await phone.call("read_notification", {"id": rows[1]["id"]}) == {"unreadCount": 0, "version": 4}
    await laptop.wait_for("notification_read", lambda said: said["version"] == 4)
    assert await phone.call("read_all_notifications") == {"unreadCount": 0, "version": 4}


async def test_l30_reading_all_while_more_comes_in_loses_and_invents_nothing(
    tell: Any, ann: Person, bob: Person
) -> None:
    async def read_all() -> None:
        for _ in range(5):
            assert (await ann.http.post(f"{PATH}/read-all")).status == 200

    phone = await ann.device()
    await asyncio.gather(read_all(), *(tell(ann.id, like(bob, f"p{n}")) for n in range(40)))

    body = await listed(ann)
    assert body["unreadCount"] == sum(not row["read"] for row in body["data"])
    assert len(body["data"]) == 40
    await phone.wait_until(lambda: len(versions(phone)) == body["version"])
    assert versions(phone) == list(range(1, body["version"] + 1))


def versions(device: Device) -> list[int]:
    names = ("notification", "notification_read", "notification_removed")
    return [one.data["version"] for one in device.heard if one.event in names]


async def test_l30_removing_is_told_and_what_happens_later_is_a_new_notification(
    tell: Any, ann: Person, bob: Person, cyd: Person
) -> None:
    phone = await ann.device()
    await tell(ann.id, like(bob))
    (row,) = (await listed(ann))["data"]

    replies = [await ann.http.delete(f"{PATH}/{row['id']}") for _ in range(2)]

    assert [reply.data for reply in replies] == [{"unreadCount": 0, "version": 2}] * 2
    assert (await phone.wait_for("notification_removed"))["ids"] == [row["id"]]
    await tell(ann.id, like(bob))
    assert (await listed(ann))["data"] == []
    await tell(ann.id, like(cyd))
    (fresh,) = (await listed(ann))["data"]
    assert fresh["id"] != row["id"]


async def test_l30_what_is_not_ones_own_is_not_there(tell: Any, ann: Person, bob: Person) -> None:
    await tell(ann.id, like(bob))
    (row,) = (await listed(ann))["data"]
    bobs = await bob.device()

    for path in (row["id"], new_id()):
        assert (await bob.http.patch(f"{PATH}/{path}/read")).status == 404
        assert (await bob.http.delete(f"{PATH}/{path}")).status == 404
        assert await bobs.refused("read_notification", {"id": path}) == "not_found"
    assert (await bob.http.patch(f"{PATH}/nonsense/read")).status == 404
    assert await bobs.refused("read_notification", {"id": {"$ne": ""}}) == "invalid_payload"
    assert (await bob.http.post(f"{PATH}/read-all")).data["unreadCount"] == 0
    assert (await listed(ann))["unreadCount"] == 1


# -- bounds and blocks


async def test_l30_one_actor_cannot_drown_the_others(
    tell: Any, ann: Person, bob: Person, cyd: Person
) -> None:
    phone = await ann.device()
    await tell(ann.id, like(cyd, "of cyd"))

    await asyncio.gather(*(tell(ann.id, like(bob, f"p{n}")) for n in range(rules.PER_ACTOR + 40)))

    body = await listed(ann)
    assert body["data"][-1]["data"]["post"] == "of cyd"
    assert rules.PER_ACTOR < len(body["data"]) == body["unreadCount"] <= rules.PER_ACTOR + rules.TRIM_EVERY
    await phone.wait_until(lambda: len(versions(phone)) == body["version"])
    removed = {gone for said in phone.all("notification_removed") for gone in said["ids"]}
    assert {said["id"] for said in phone.all("notification")} - removed == {row["id"] for row in body["data"]}


async def test_l30_the_oldest_go_when_there_are_too_many(
    tell: Any, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "KEEP", 20)
    phone = await ann.device()

    for n in range(40):
        await tell(ann.id, Note("system", f"s{n}", "Something.", data={"post": n}))

    body = await listed(ann)
    kept = [row["data"]["post"] for row in body["data"]]
    assert kept == list(range(39, 39 - len(kept), -1))
    assert 20 <= len(kept) == body["unreadCount"] < 20 + rules.TRIM_EVERY
    await phone.wait_until(lambda: len(versions(phone)) == body["version"])
    removed = {gone for said in phone.all("notification_removed") for gone in said["ids"]}
    assert {said["id"] for said in phone.all("notification")} - removed == {row["id"] for row in body["data"]}


async def test_a_block_while_something_is_being_told_leaves_nothing_of_it(
    plaza: Node, tell: Any, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await ann.device()
    choices = plaza.services.notifications.preferences
    chosen = choices.of_many

    async def blocked_meanwhile(people: Collection[str]) -> Any:
        await ann.http.post("/api/friends/block", {"userId": bob.id})
        return await chosen(people)

    monkeypatch.setattr(choices, "of_many", blocked_meanwhile)
    await tell(ann.id, like(bob))

    removed = await device.wait_for("notification_removed")
    assert removed["unreadCount"] == 0
    assert await Notification.actors(ann.id) == {"shown": set(), "away": {bob.id}}


async def test_l30_who_is_blocked_vanishes_from_list_and_count_and_comes_back(
    tell: Any, ann: Person, bob: Person, cyd: Person
) -> None:
    phone = await ann.device()
    await tell(ann.id, like(bob))
    await tell(ann.id, like(cyd, "p2"))
    await tell(bob.id, like(ann, "p3"))

    await ann.http.post("/api/friends/block", {"userId": bob.id})

    body = await listed(ann)
    assert ([row["data"]["post"] for row in body["data"]], body["unreadCount"]) == (["p2"], 1)
    assert (await phone.wait_for("notification_removed"))["unreadCount"] == 1
    assert await keys_of(bob) == []
    await tell(ann.id, like(bob, "p4"))
    assert await keys_of(ann) == ["p2"]
    await ann.http.post("/api/friends/unblock", {"userId": bob.id})
    assert await keys_of(ann) == ["p2", "p1"]
    assert await keys_of(bob) == ["p3"]
    await phone.wait_for("notification", lambda said: said["version"] == 4 and said["unreadCount"] == 2)


# -- preferences


async def test_l30_what_one_does_not_want_is_not_told(tell: Any, ann: Person, bob: Person) -> None:
    before = (await ann.http.get(f"{PATH}/preferences")).data
    assert set(before["types"]) == set(rules.TITLES)
    assert all(choice == {"list": True, "push": True} for choice in before["types"].values())
    assert before["quietHours"] == {"enabled": False, "from": "22:00", "to": "07:00", "timeZone": "UTC"}

    off = {"types": {"post_like": {"list": False, "push": False}}}
    changed = await ann.http.patch(f"{PATH}/preferences", off)
    quiet = {"enabled": True, "from": "23:30", "to": "06:00", "timeZone": "Europe/Paris"}
    kept = await ann.http.patch(f"{PATH}/preferences", {"quietHours": quiet})

    assert changed.data["types"] == {**before["types"], "post_like": {"list": False, "push": False}}
    assert kept.data == {"types": changed.data["types"], "quietHours": quiet}
    assert (await ann.http.get(f"{PATH}/preferences")).data == kept.data
    await tell(ann.id, like(bob))
    await tell(ann.id, Note("rating", "r", "You were rated.", actor_id=bob.id, data={"post": "rating"}))
    assert await keys_of(ann) == ["rating"]


@pytest.mark.parametrize(
    "body",
    [
        {"types": {"nonsense": {"list": True, "push": True}}},
        {"types": {"post_like": {"list": False, "push": True}}},
        {"types": {"post_like": {"list": "yes"}}},
        {"types": {"post_like": {"list": True, "sound": "loud"}}},
        {"types": {"system": {"list": False, "push": False}}},
        {"types": {"post_like.list": {}}},
        {"types": {"$set": {}}},
        {"quietHours": {"enabled": True, "from": "22:00", "to": "22:00"}},
        {"quietHours": {"from": "24:00"}},
        {"quietHours": {"from": "9:00"}},
        {"quietHours": {"from": "22:00\n"}},
        {"quietHours": {"timeZone": "Mars/Olympus"}},
        {"quietHours": {"timeZone": "../../etc/passwd"}},
        {"quietHours": {"timeZone": "/etc/passwd"}},
        {"quietHours": {"timeZone": "America"}},
        {"quietHours": {"timeZone": "A" * 10_000}},
        {"quietHours": {"timeZone": {"$ne": 1}}},
        {"_id": "x"},
    ],
)
async def test_l30_nonsense_cannot_be_chosen(ann: Person, body: Json) -> None:
    reply = await ann.http.patch(f"{PATH}/preferences", body)

    assert reply.status == 422, reply.body
    assert (await ann.http.get(f"{PATH}/preferences")).data["quietHours"]["timeZone"] == "UTC"


async def test_l30_two_devices_choose_different_things_at_once(ann: Person) -> None:
    types = [name for name in rules.TITLES if name != "system"]
    off = {"list": False, "push": False}

    await asyncio.gather(*(ann.http.patch(f"{PATH}/preferences", {"types": {t: off}}) for t in types))

    found = (await ann.http.get(f"{PATH}/preferences")).data["types"]
    assert [found[t] for t in types] == [off] * len(types)


async def test_l30_strangers_are_refused(plaza: Node, join: SignUp) -> None:
    someone = await join()
    someone.http.token = None
    for method, path in (
        ("GET", PATH),
        ("POST", f"{PATH}/read-all"),
        ("GET", f"{PATH}/preferences"),
        ("DELETE", f"{PATH}/{new_id()}"),
    ):
        assert (await someone.http.ask(method, path)).status == 401
