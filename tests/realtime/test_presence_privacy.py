"""Who shows their presence to friends, and who stops showing it while they look."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from common.clock import now
from common.ids import Id
from documents.accounts import User
from documents.presence import Presence
from documents.rows import rows
from realtime.features.presence.service.announcer import Announcer, News, Why
from tests.clients import Device, Json, Person, eventually
from tests.conftest import Node, SignUp

ONLINE, OFFLINE = "user_online", "user_offline"
HOLDS_WITHIN = 2.0
"""Seconds in which a choice must have taken effect on every socket of every node."""


async def choose(person: Person, privacy: str | None = None, url: str = "", **visibility: str | None) -> None:
    settings: dict[str, Any] = {"visibility": visibility}
    if privacy is not None:
        settings["privacy"] = privacy
    reply = await person.http.patch(f"{url}/api/users/{person.id}/profile", {"settings": settings})
    assert reply.status == 200, reply.body


def said_of(device: Device, person: Person) -> list[str]:
    told = [one for one in device.heard if one.event in {ONLINE, OFFLINE}]
    return [one.event for one in told if one.data["userId"] == person.id]


async def hears(device: Device, person: Person, *events: str) -> None:
    """Wait until a device has heard exactly this of somebody."""
    await device.wait_until(lambda: len(said_of(device, person)) >= len(events), HOLDS_WITHIN)
    assert said_of(device, person) == list(events)


async def state_of(device: Device, person: Person) -> Json:
    """What a query tells; None when it tells nothing."""
    states = (await device.call("presence_query", {"userIds": [person.id]}))["states"]
    return next(iter(states), None)


async def hears_a_friend_come(device: Device, friend: Person, url: str | None = None) -> None:
    """Wait for news that come after everything so far."""
    await friend.device(url)
    await device.wait_for(ONLINE, lambda said: said["userId"] == friend.id)


@pytest.fixture
async def far(two_nodes: tuple[Node, Node], ann: Person, bob: Person) -> Device:
    """Ann is connected to one node, and her friend Bob watches from the other."""
    await ann.befriend(bob)
    ann.http.url, bob.http.url = two_nodes[0].url, two_nodes[1].url
    watching = await bob.device(two_nodes[1].url)
    await ann.device(two_nodes[0].url)
    await hears(watching, ann, ONLINE)
    return watching


@pytest.mark.parametrize(
    ("closed", "opened"),
    [
        ({"privacy": "private"}, {"privacy": "public"}),
        ({"presence": "private"}, {"presence": None}),
        ({"presence": "private"}, {"presence": "friends"}),
        ({"privacy": "private"}, {"presence": "friends"}),
    ],
)
async def test_to_friends_closing_looks_like_going_and_opening_like_coming(
    two_nodes: tuple[Node, Node], far: Device, ann: Person, closed: dict[str, Any], opened: dict[str, Any]
) -> None:
    await choose(ann, **closed, url=two_nodes[0].url)
    await hears(far, ann, ONLINE, OFFLINE)
    last = far.all(OFFLINE)[-1]["lastSeen"]
    assert last is not None
    assert await state_of(far, ann) is None

    await choose(ann, **opened, url=two_nodes[1].url)
    await hears(far, ann, ONLINE, OFFLINE, ONLINE)
    assert (await state_of(far, ann))["online"] is True


async def test_a_profile_tells_as_little_as_presence_does(far: Device, ann: Person, bob: Person) -> None:
    before = (await bob.http.get(f"/api/users/{ann.id}")).data
    assert before["lastActive"] is not None
    await choose(ann, presence="private")

    seen = (await bob.http.get(f"/api/users/{ann.id}")).data

    assert (seen["isOnline"], seen["lastActive"]) == (False, None)


async def test_when_somebody_was_last_seen_is_kept_apart_from_whether_they_are_there(
    far: Device, ann: Person, bob: Person
) -> None:
    await choose(ann, lastSeen="private")
    assert await state_of(far, ann) == {"userId": ann.id, "online": True, "lastSeen": None}
    assert (await bob.http.get(f"/api/users/{ann.id}")).data["isOnline"] is True
    assert (await bob.http.get(f"/api/users/{ann.id}")).data["lastActive"] is None

    await ann.devices.pop().close()
    await hears(far, ann, ONLINE, OFFLINE)

    assert far.all(OFFLINE)[-1] == {"userId": ann.id, "lastSeen": None}
    assert await state_of(far, ann) == {"userId": ann.id, "online": False, "lastSeen": None}
    await choose(ann, lastSeen=None)
    assert (await state_of(far, ann))["lastSeen"] is not None


async def test_closing_with_a_hidden_time_does_not_tell_the_time(far: Device, ann: Person) -> None:
    await choose(ann, lastSeen="private")
    await choose(ann, presence="private")
    await hears(far, ann, ONLINE, OFFLINE)
    assert far.all(OFFLINE)[-1]["lastSeen"] is None


async def test_who_shows_nothing_comes_and_goes_unseen_and_leaves_no_later_trace(
    two_nodes: tuple[Node, Node], far: Device, ann: Person, bob: Person, cyd: Person
) -> None:
    await bob.befriend(cyd)
    await choose(ann, "private")
    await hears(far, ann, ONLINE, OFFLINE)
    last = far.all(OFFLINE)[-1]["lastSeen"]

    for _ in range(2):
        await ann.devices.pop().close()
        await eventually(lambda: _is_gone(two_nodes[0], ann))
        await ann.device(two_nodes[0].url)
    await ann.devices.pop().close()
    await eventually(lambda: _is_gone(two_nodes[0], ann))
    await hears_a_friend_come(far, cyd, far.url)
    await choose(ann, "public")

    assert said_of(far, ann) == [ONLINE, OFFLINE]
    assert await state_of(far, ann) == {"userId": ann.id, "online": False, "lastSeen": last}


async def _is_gone(node: Node, person: Person) -> bool:
    return person.id not in node.services.presence._store.here()


async def test_hiding_while_nobody_sees_one_leaves_no_trace(far: Device, ann: Person) -> None:
    await choose(ann, presence="private")
    await hears(far, ann, ONLINE, OFFLINE)
    last = far.all(OFFLINE)[-1]["lastSeen"]

    for mode in ("invisible", "visible", "invisible"):
        await ann.devices[0].call("presence_set", {"mode": mode})
    await choose(ann, presence="friends")
    await eventually(lambda: _is_seen_last(far, ann, last))

    assert said_of(far, ann)[:2] == [ONLINE, OFFLINE]


async def _is_seen_last(device: Device, person: Person, last: str) -> bool:
    state = await state_of(device, person)
    return state is not None and state["lastSeen"] == last


async def test_closing_is_told_even_if_one_goes_at_once(
    two_nodes: tuple[Node, Node], far: Device, ann: Person
) -> None:
    announcer = two_nodes[0].services.presence._announcer
    await close_unnoticed(ann)

    announcer.say(News(ann.id, is_online=False, at=now(), why=Why.CLOSED))
    announcer.say(News(ann.id, is_online=False, at=now()))

    await hears(far, ann, ONLINE, OFFLINE)


async def test_coming_that_is_said_while_another_node_closes_is_taken_back(
    two_nodes: tuple[Node, Node], far: Device, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Announcer._publish

    def publish_late(announcer: Announcer, news: News, *what: Any) -> None:
        publish(announcer, news, *what)
        if news.is_online:
            monkeypatch.setattr(Announcer, "_shown", shown_late)

    async def shown_late(announcer: Announcer, ids: Sequence[Id]) -> Any:
        monkeypatch.undo()
        await close_unnoticed(ann)
        return await announcer._shown(ids)

    monkeypatch.setattr(Announcer, "_publish", publish_late)
    two_nodes[0].services.presence._announcer.say(News(ann.id, is_online=True, at=now()))

    await hears(far, ann, ONLINE, ONLINE, OFFLINE)


async def close_unnoticed(person: Person) -> None:
    """As another node does, whose word of it has not come."""
    await rows(User).update_one(
        {"_id": person.id}, {"$set": {"settings.visibility": {"presence": "private"}}}
    )


async def test_invisible_and_closed_at_once_is_told_once(
    far: Device, ann: Person, bob: Person, cyd: Person
) -> None:
    await bob.befriend(cyd)
    await ann.devices[0].call("presence_set", {"mode": "invisible"})
    await hears(far, ann, ONLINE, OFFLINE)

    await choose(ann, presence="private")
    await choose(ann, presence="friends")
    await choose(ann, presence="private")
    await ann.devices[0].call("presence_set", {"mode": "visible"})
    await hears_a_friend_come(far, cyd, far.url)
    assert said_of(far, ann) == [ONLINE, OFFLINE]

    await choose(ann, presence="friends")
    await hears(far, ann, ONLINE, OFFLINE, ONLINE)


async def test_who_changes_their_mind_often_is_in_the_end_seen_as_chosen(
    two_nodes: tuple[Node, Node], far: Device, ann: Person
) -> None:
    for last in ("private", "friends"):
        flips = ["private", "friends"] * 5
        await asyncio.gather(
            *(choose(ann, presence=flip, url=two_nodes[n // 2 % 2].url) for n, flip in enumerate(flips))
        )
        await choose(ann, presence=last, url=two_nodes[1].url)
        wanted = ONLINE if last == "friends" else OFFLINE
        await far.wait_until(lambda wanted=wanted: said_of(far, ann)[-1] == wanted, HOLDS_WITHIN)
        assert (await state_of(far, ann) is not None) is (last == "friends")


async def test_a_choice_wider_than_privacy_holds_for_friends_and_for_nobody_else(
    ann: Person, bob: Person, cyd: Person
) -> None:
    await ann.befriend(bob)
    await choose(ann, "private", presence="public", lastSeen="friends")
    watching, stranger = await bob.device(), await cyd.device()

    await ann.device()
    await hears(watching, ann, ONLINE)

    assert (await state_of(watching, ann))["online"] is True
    assert await state_of(stranger, ann) is None
    card = (await bob.http.get(f"/api/users/{ann.id}")).data
    assert card["isOnline"] is True
    assert "bio" not in card
    assert "isOnline" not in (await cyd.http.get(f"/api/users/{ann.id}")).data


async def test_who_is_banned_is_seen_to_go(far: Device, ann: Person) -> None:
    await rows(User).update_one({"_id": ann.id}, {"$set": {"is_banned": True}})
    await ann.devices[0].close()
    await hears(far, ann, ONLINE, OFFLINE)
    assert far.all(OFFLINE)[-1]["lastSeen"] is None


async def test_a_node_that_stops_notes_nothing_of_those_who_show_nothing(
    make_settings: Any, start_node: Any, join: SignUp
) -> None:
    open_one, closed = await join("open"), await join("closed")
    await choose(closed, presence="private")
    node: Node = await start_node(make_settings())
    for person in (open_one, closed):
        await person.device(node.url)

    await node.server.stop()
    await node.services.presence.stop()

    kept = await Presence.of([open_one.id, closed.id])
    assert kept[open_one.id].last_seen is not None
    assert closed.id not in kept or kept[closed.id].last_seen is None
