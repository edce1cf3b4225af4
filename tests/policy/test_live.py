"""What changes between people holds on sockets that are open, on every node, within two seconds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.clients import Device, Person, eventually, new_key
from tests.conftest import Node, SignUp
from tests.staff import act, new_admin, put

SOON = 2.0
Question = Callable[[], Awaitable[bool]]


@dataclass
class Two:
    """Friends who are online, each on a node of their own, and an administrator beside the first."""

    ann: Person
    bob: Person
    anns: Device
    bobs: Device
    admin: Person


@pytest.fixture
async def two(two_nodes: tuple[Node, Node], join: SignUp) -> AsyncIterator[Two]:
    here, there = two_nodes
    ann, bob = await join("ann", here.url), await join("bob", there.url)
    admin = await new_admin(here)
    await ann.befriend(bob)
    pair = Two(ann, bob, await ann.device(), await bob.device(), admin)
    await pair.bobs.send("hello", to=ann.id)
    await pair.anns.send("hello", to=bob.id)
    await eventually(lambda: sees(pair.bobs, ann))
    assert await may_talk(pair.bobs, ann)
    yield pair
    await admin.leave()


async def sees(device: Device, person: Person) -> bool:
    """Whether a device is told that somebody is online."""
    states = (await device.call("presence_query", {"userIds": [person.id]}))["states"]
    return [state["online"] for state in states] == [True]


async def is_done(device: Device, event: str, **payload: object) -> bool:
    """Whether something is done for a device; else it is refused as if there were nobody."""
    ack = await device.ack(event, payload)
    assert ack["ok"] or ack["error"]["code"] == "not_found", ack
    return ack["ok"]


async def may_talk(device: Device, person: Person) -> bool:
    """Whether a device may write to somebody, and type."""
    sent = await is_done(device, "send_message", to=person.id, text="?", clientId=new_key())
    typed = await is_done(device, "typing", to=person.id, isTyping=True)
    return sent or typed


async def may_enter(device: Device, person: Person) -> bool:
    return await is_done(device, "join_room", friendId=person.id)


async def soon(question: Question, answer: bool) -> None:
    """Whoever asks two seconds from now, or later, gets that answer; however long answering takes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SOON
    while True:
        asked_at = loop.time()
        if await question() is answer:
            return
        assert asked_at < deadline, "it did not change in time"
        await asyncio.sleep(0.05)


async def soon_not(*questions: Question) -> None:
    await asyncio.gather(*(soon(question, False) for question in questions))
    assert not any([await question() for question in questions])


async def test_a_block_closes_everything_between_two_sockets(two: Two) -> None:
    reply = await two.ann.http.post("/api/friends/block", {"userId": two.bob.id})
    assert reply.status == 200

    assert not await may_talk(two.anns, two.bob)
    await soon_not(
        lambda: may_talk(two.bobs, two.ann),
        lambda: may_enter(two.bobs, two.ann),
        lambda: sees(two.bobs, two.ann),
        lambda: sees(two.anns, two.bob),
    )
    heard = len(two.anns.heard)
    await is_done(two.bobs, "typing", to=two.ann.id, isTyping=True)
    await two.anns.call("sync", {})
    typed = [one for one in two.anns.heard[heard:] if one.data and one.data.get("isTyping")]
    assert typed == []

    assert (await two.ann.http.post("/api/friends/unblock", {"userId": two.bob.id})).status == 200
    await soon(lambda: may_talk(two.bobs, two.ann), True)


async def test_who_is_no_friend_any_more_is_not_shown_who_is_online(two: Two) -> None:
    assert (await two.ann.http.delete(f"/api/friends/{two.bob.id}")).status == 200

    await soon_not(lambda: sees(two.bobs, two.ann), lambda: sees(two.anns, two.bob))
    assert await may_talk(two.bobs, two.ann)


async def test_privacy_hides_who_is_online_from_friends(two: Two) -> None:
    changed = {"settings": {"privacy": "private"}}
    assert (await two.ann.http.patch(f"/api/users/{two.ann.id}/profile", changed)).status == 200

    await soon_not(lambda: sees(two.bobs, two.ann))
    assert (await two.bob.http.get(f"/api/friends/{two.ann.id}")).code == "friends_hidden"
    assert await sees(two.anns, two.bob)


@pytest.mark.parametrize("how", ["ban", "approval"])
async def test_who_does_not_take_part_any_more_is_gone_for_all(two: Two, how: str) -> None:
    sanction = await act(two.admin, two.bob.id, "ban") if how == "ban" else None
    if sanction is None:
        assert (await put(two.admin, two.bob.id, is_approved=False)).status == 200

    await eventually(two.bobs.closed.is_set, 2 * SOON)  # at once, but for a busy machine
    await soon_not(
        lambda: may_talk(two.anns, two.bob),
        lambda: may_enter(two.anns, two.bob),
        lambda: sees(two.anns, two.bob),
    )
    code = "pending_approval" if sanction is None else "account_banned"

    async def is_told_why() -> bool:
        return (await two.bob.http.get("/api/auth/me")).code == code

    await soon(is_told_why, True)
    history = await two.ann.http.get(f"/api/messages/{two.bob.id}")
    assert "hello" in [message["text"] for message in history.data]

    if sanction is not None:
        path = f"/api/admin/actions/{sanction['id']}/reverse"
        assert (await two.admin.http.post(path, {"reason": "a mistake"})).status == 200
    else:
        assert (await put(two.admin, two.bob.id, is_approved=True)).status == 200
    await soon(lambda: may_talk(two.anns, two.bob), True)
