"""Who is online: told to friends, once for all devices, and only to those who may know."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest

from common.clock import now
from common.engines import Engines
from common.ids import new_id
from loadtests.server import Node as Process
from tests.clients import Device, Json, Person, eventually, sign_up
from tests.conftest import MakeSettings, Node, SignUp, StartNode

ONLINE, OFFLINE = "user_online", "user_offline"
GRACE = 0.3


async def states(device: Device, *people: Person) -> dict[str, Json]:
    """What a device is told of these people, by id."""
    answer = await device.call("presence_query", {"userIds": [person.id for person in people]})
    return {state["userId"]: state for state in answer["states"]}


async def sees(device: Device, person: Person) -> bool | None:
    """Whether a device sees somebody online; None when it sees nothing of them."""
    state = (await states(device, person)).get(person.id)
    return state and state["online"]


def said_of(device: Device, person: Person) -> list[str]:
    """What a device was told of somebody's coming and going, in order."""
    told = [one for one in device.heard if one.event in {ONLINE, OFFLINE}]
    return [one.event for one in told if one.data["userId"] == person.id]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def leaves(person: Person) -> None:
    for device in person.devices:
        await device.close()
    person.devices.clear()


async def hears_of_something_later(device: Device, friend: Person) -> None:
    """Wait for news of a friend who comes and goes now: everything before it has been said by then."""
    count = len(said_of(device, friend))
    await friend.device()
    await device.wait_until(lambda: len(said_of(device, friend)) == count + 1)
    await leaves(friend)
    await device.wait_until(lambda: len(said_of(device, friend)) == count + 2)


# -- coming and going


async def test_friends_are_told_who_comes_and_who_goes(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    bobs = await bob.device()

    await ann.device()
    assert await bobs.wait_for(ONLINE) == {"userId": ann.id}
    assert await sees(bobs, ann) is True
    before = now()
    await leaves(ann)
    gone = await bobs.wait_for(OFFLINE)

    assert gone["userId"] == ann.id
    assert 0 <= (moment(gone["lastSeen"]) - before).total_seconds() < GRACE
    assert (await states(bobs, ann))[ann.id] == {
        "userId": ann.id,
        "online": False,
        "lastSeen": gone["lastSeen"],
    }


async def test_many_devices_are_one_presence(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    bobs = await bob.device()

    await asyncio.gather(*(ann.device() for _ in range(30)))
    await bobs.wait_for(ONLINE)
    last = ann.devices.pop()
    await asyncio.gather(*(device.close() for device in ann.devices))
    started = time.monotonic()
    while time.monotonic() < started + 2 * GRACE:
        assert await sees(bobs, ann)
    await last.close()
    await bobs.wait_for(OFFLINE)

    assert said_of(bobs, ann) == [ONLINE, OFFLINE]


async def test_a_drop_shorter_than_the_grace_period_is_not_announced(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    bobs = await bob.device()
    await ann.device()
    await bobs.wait_for(ONLINE)

    for _ in range(8):
        await leaves(ann)
        assert await sees(bobs, ann) is True
        await ann.device()
    dropped = now()
    await leaves(ann)
    gone = await bobs.wait_for(OFFLINE)

    assert said_of(bobs, ann) == [ONLINE, OFFLINE]
    assert moment(gone["lastSeen"]) >= dropped
    assert (now() - dropped).total_seconds() >= GRACE


async def test_only_friends_are_told(ann: Person, bob: Person, cyd: Person, join: SignUp) -> None:
    stranger, shy = bob, await join("shy")
    await ann.befriend(cyd)
    await shy.befriend(cyd)
    assert (await do_privacy(shy, "private")) == 200
    strangers, cyds = await stranger.device(), await cyd.device()

    await shy.device()
    await ann.device()
    await cyds.wait_for(ONLINE)
    await leaves(shy)
    await leaves(ann)
    await cyds.wait_for(OFFLINE)

    assert said_of(cyds, ann) == [ONLINE, OFFLINE]
    assert said_of(cyds, shy) == []
    assert await strangers.hears_nothing_but()
    assert await states(strangers, ann, shy, cyd) == {}
    assert list(await states(cyds, ann, shy)) == [ann.id]


async def do_privacy(person: Person, privacy: str) -> int:
    changed = {"settings": {"privacy": privacy}}
    return (await person.http.patch(f"/api/users/{person.id}/profile", changed)).status


async def test_a_block_ends_all_knowledge_of_each_other(ann: Person, bob: Person, cyd: Person) -> None:
    for friend in (ann, cyd):
        await friend.befriend(bob)
    anns, bobs = await ann.device(), await bob.device()
    assert await sees(bobs, ann) is await sees(anns, bob) is True

    await ann.http.post("/api/friends/block", {"userId": bob.id})
    assert await sees(bobs, ann) is await sees(anns, bob) is None
    count = len(said_of(bobs, ann))
    await leaves(ann)
    await ann.device()
    await hears_of_something_later(bobs, cyd)

    assert len(said_of(bobs, ann)) == count


# -- asking


async def test_a_query_answers_for_friends_and_oneself_only(
    ann: Person, bob: Person, cyd: Person, join: SignUp
) -> None:
    dan = await join("dan")
    for friend in (bob, cyd):
        await ann.befriend(friend)
    anns = await ann.device()
    await bob.device()
    await dan.device()
    wanted = [bob.id, new_id(), cyd.id, dan.id, bob.id, ann.id]

    answer = await anns.call("presence_query", {"userIds": wanted})

    shown = [(state["userId"], state["online"]) for state in answer["states"]]
    assert shown == [(bob.id, True), (cyd.id, False), (ann.id, True)]
    assert answer["mode"] == "visible"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userIds": "all"},
        {"userIds": ["me"]},
        {"userIds": [new_id()] * 201},
        {"userIds": [], "all": True},
    ],
)
async def test_a_query_names_at_most_two_hundred_people(ann: Person, body: Json) -> None:
    anns = await ann.device()

    assert await anns.refused("presence_query", body) in {"invalid_payload", "unknown_field"}
    assert (await anns.call("presence_query", {"userIds": [new_id()] * 200}))["states"] == []


async def test_presence_is_asked_and_set_over_http_too(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    await ann.device()
    params = [("userIds", ann.id), ("userIds", bob.id)]

    asked = await bob.http.get("/api/presence", params=params)
    hidden = await ann.http.ask("PUT", "/api/presence", json={"mode": "invisible"})

    shown = [(state["userId"], state["online"]) for state in asked.data["states"]]
    assert shown == [(ann.id, True), (bob.id, False)]
    assert (hidden.status, hidden.data) == (200, {"mode": "invisible"})
    assert (await ann.http.get("/api/presence?userIds=" + ann.id)).data["mode"] == "invisible"
    assert (await ann.http.ask("PUT", "/api/presence", json={"mode": "away"})).status == 422


async def test_a_profile_shows_friends_that_somebody_is_online(ann: Person, bob: Person, cyd: Person) -> None:
    await ann.befriend(bob)
    await ann.device()

    assert (await bob.http.get(f"/api/users/{ann.id}")).data["isOnline"] is True
    assert (await cyd.http.get(f"/api/users/{ann.id}")).data["isOnline"] is False


# -- hiding


async def test_hiding_looks_like_going_offline(ann: Person, bob: Person, cyd: Person) -> None:
    for friend in (ann, cyd):
        await friend.befriend(bob)
    anns, bobs, cyds = await ann.device(), await bob.device(), await cyd.device()
    await bobs.wait_until(lambda: said_of(bobs, ann) == said_of(bobs, cyd) == [ONLINE])
    started = now()

    assert await anns.call("presence_set", {"mode": "invisible"}) == {"mode": "invisible"}
    await cyds.close()
    assert await sees(bobs, ann) is await sees(bobs, cyd) is True
    hidden = await bobs.wait_for(OFFLINE, lambda said: said["userId"] == ann.id)
    gone = await bobs.wait_for(OFFLINE, lambda said: said["userId"] == cyd.id)

    assert hidden.keys() == gone.keys()
    assert (now() - started).total_seconds() >= GRACE
    assert 0 <= (moment(hidden["lastSeen"]) - started).total_seconds() < GRACE
    assert (await states(bobs, ann))[ann.id] == {
        "userId": ann.id,
        "online": False,
        "lastSeen": hidden["lastSeen"],
    }
    assert (await bob.http.get(f"/api/users/{ann.id}")).data["isOnline"] is False


async def test_who_hides_comes_and_goes_unseen_until_they_show_themselves(
    ann: Person, bob: Person, cyd: Person
) -> None:
    for friend in (ann, cyd):
        await friend.befriend(bob)
    bobs = await bob.device()
    anns = await ann.device()
    await bobs.wait_for(ONLINE)
    await anns.call("presence_set", {"mode": "invisible"})
    hidden = await bobs.wait_for(OFFLINE)

    for _ in range(2):
        await leaves(ann)
        await hears_of_something_later(bobs, cyd)
        anns = await ann.device()
        await anns.call("presence_set", {"mode": "invisible"})
    assert (await anns.call("presence_query", {"userIds": [ann.id]}))["mode"] == "invisible"
    assert said_of(bobs, ann) == [ONLINE, OFFLINE]
    assert (await states(bobs, ann))[ann.id]["lastSeen"] == hidden["lastSeen"]

    await anns.call("presence_set", {"mode": "visible"})
    await bobs.wait_until(lambda: said_of(bobs, ann) == [ONLINE, OFFLINE, ONLINE])
    assert await sees(bobs, ann) is True


async def test_hiding_for_a_moment_is_not_announced(ann: Person, bob: Person, cyd: Person) -> None:
    for friend in (ann, cyd):
        await friend.befriend(bob)
    anns, bobs = await ann.device(), await bob.device()

    for _ in range(5):
        await anns.call("presence_set", {"mode": "invisible"})
        await anns.call("presence_set", {"mode": "visible"})
    count = len(said_of(bobs, ann))
    await hears_of_something_later(bobs, cyd)

    assert len(said_of(bobs, ann)) == count
    assert await sees(bobs, ann) is True


async def test_hiding_many_times_at_once_is_told_once(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    bobs, anns = await bob.device(), await ann.device()
    await bobs.wait_for(ONLINE)

    hide, show = {"mode": "invisible"}, {"mode": "visible"}
    await asyncio.gather(*(ann.http.ask("PUT", "/api/presence", json=hide) for _ in range(50)))
    await bobs.wait_for(OFFLINE)
    await asyncio.gather(*(ann.http.ask("PUT", "/api/presence", json=show) for _ in range(50)))
    await bobs.wait_until(lambda: len(said_of(bobs, ann)) == 3)
    await anns.close()
    await bobs.wait_until(lambda: len(said_of(bobs, ann)) == 4)

    assert said_of(bobs, ann) == [ONLINE, OFFLINE, ONLINE, OFFLINE]


# -- what remains


async def test_when_somebody_was_last_seen_outlives_the_server(
    make_settings: MakeSettings, start_node: StartNode, plaza: Node, join: SignUp
) -> None:
    ann, bob, hidden = await join("ann"), await join("bob"), await join("hidden")
    for friend in (ann, hidden):
        await friend.befriend(bob)
    node = await start_node(make_settings())
    await ann.device(node.url)
    seen = await hidden.device(plaza.url)
    await seen.call("presence_set", {"mode": "invisible"})
    await seen.close()
    await hidden.device(node.url)
    before = now()

    await node.server.stop()
    await node.services.presence.stop()

    bobs = await bob.device(plaza.url)
    await eventually(lambda: _is_away(bobs, hidden))
    found = await states(bobs, ann, hidden)
    assert [found[person.id]["online"] for person in (ann, hidden)] == [False, False]
    assert moment(found[hidden.id]["lastSeen"]) < before <= moment(found[ann.id]["lastSeen"])


async def _is_away(device: Device, person: Person) -> bool:
    return await sees(device, person) is False


# -- several nodes


async def test_devices_on_two_nodes_are_one_presence(two_nodes: tuple[Node, Node], join: SignUp) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    await ann.befriend(bob)
    here, there = await bob.device(one.url), await bob.device(other.url)

    first = await ann.device(one.url)
    for device in (here, there):
        await device.wait_for(ONLINE)
    second = await ann.device(other.url)
    await first.close()
    started = time.monotonic()
    while time.monotonic() < started + 2 * GRACE:
        assert await sees(here, ann) is await sees(there, ann) is True
    await second.close()

    for device in (here, there):
        await device.wait_for(OFFLINE)
        assert said_of(device, ann) == [ONLINE, OFFLINE]


async def test_who_moves_to_another_node_within_the_grace_period_was_never_away(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    await ann.befriend(bob)
    bobs = await bob.device(other.url)
    device = await ann.device(one.url)
    await bobs.wait_for(ONLINE)

    for node in (other, one, other):
        await device.close()
        device = await ann.device(node.url)
    await device.close()
    await bobs.wait_for(OFFLINE)

    assert said_of(bobs, ann) == [ONLINE, OFFLINE]


async def test_who_shows_themselves_on_another_node_in_time_was_never_hidden(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob, cyd = await join("ann", one.url), await join("bob", one.url), await join("cyd", one.url)
    for friend in (ann, cyd):
        await friend.befriend(bob)
    bobs, anns = await bob.device(one.url), await ann.device(other.url)
    await bobs.wait_for(ONLINE)

    for _ in range(3):
        await ann.http.ask("PUT", "/api/presence", json={"mode": "invisible"})
        await anns.call("presence_set", {"mode": "visible"})
    await hears_of_something_later(bobs, cyd)

    assert said_of(bobs, ann) == [ONLINE]


async def test_people_of_a_node_that_stops_go_offline_unless_they_come_back_elsewhere(
    two_nodes: tuple[Node, Node], make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    one, _ = two_nodes
    ann, bob, cyd = await join("ann", one.url), await join("bob", one.url), await join("cyd", one.url)
    for friend in (ann, cyd):
        await friend.befriend(bob)
    stopping = await start_node(make_settings(redis=True))
    bobs = await bob.device(one.url)
    await ann.device(stopping.url)
    await cyd.device(stopping.url)
    await bobs.wait_until(lambda: said_of(bobs, ann) == said_of(bobs, cyd) == [ONLINE])

    await stopping.server.stop()
    await stopping.services.actors.stop(1)
    await stopping.services.presence.stop()
    await cyd.device(one.url)
    await bobs.wait_for(OFFLINE)

    assert said_of(bobs, ann) == [ONLINE, OFFLINE]
    await eventually(lambda: sees(bobs, cyd))
    assert said_of(bobs, cyd) == [ONLINE]


async def test_people_of_a_killed_process_go_offline_when_its_lease_ends_and_not_before(
    engines: Engines, tmp_path: Path
) -> None:
    lease, beat = 3.0, 1.0
    settings = {
        "PLAZA_MONGO_URL": engines.mongo_url,
        "PLAZA_REDIS_URL": engines.redis_url,
        "PLAZA_DATABASE": f"test_{new_id()[:8]}",
        "PLAZA_TIMEOUTS__PRESENCE_LEASE": str(lease),
        "PLAZA_TIMEOUTS__PRESENCE_GRACE": str(GRACE),
    }
    async with AsyncExitStack() as stack:
        doomed, survivor = Process(tmp_path / "doomed", settings), Process(tmp_path / "survivor", settings)
        for process in (doomed, survivor):
            stack.push_async_callback(process.kill)
        await asyncio.gather(doomed.start(), survivor.start())
        ann, bob, cyd = [await sign_up(survivor.url, name) for name in ("ann", "bob", "cyd")]
        for person in (ann, bob, cyd):
            stack.push_async_callback(person.leave)
        for friend in (ann, cyd):
            await friend.befriend(bob)
        bobs = await bob.device(survivor.url)
        await ann.device(doomed.url)
        await cyd.device(doomed.url)
        await bobs.wait_until(lambda: said_of(bobs, ann) == said_of(bobs, cyd) == [ONLINE])

        await doomed.kill()
        killed = now()
        await cyd.device(survivor.url)
        gone = await bobs.wait_for(OFFLINE, seconds=3 * lease)
        took = (now() - killed).total_seconds()

        assert gone["userId"] == ann.id
        assert lease - 1.5 * beat <= took <= lease + 3 * beat
        assert -1.5 * beat <= (moment(gone["lastSeen"]) - killed).total_seconds() <= 0
        assert said_of(bobs, cyd) == [ONLINE]
        assert (await states(bobs, ann))[ann.id]["lastSeen"] == gone["lastSeen"]
        assert await sees(bobs, cyd) is True
