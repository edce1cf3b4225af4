"""Two nodes over one MongoDB and one Redis are one Plaza."""

import asyncio
import os
import signal
import time
from pathlib import Path

from common.engines import Engines
from tests.clients import eventually, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode


async def test_people_on_different_nodes_talk_in_one_order(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    anns, bobs = await ann.device(one.url), await bob.device(other.url)
    await anns.send("first", to=bob.id)

    await asyncio.gather(
        *(who.send(f"{n}", to=to.id) for n in range(40) for who, to in ((anns, bob), (bobs, ann)))
    )

    for device in (anns, bobs):
        await device.wait_until(lambda device=device: len(device.all("new_message")) == 81)
        assert [m["seq"] for m in device.all("new_message")] == list(range(1, 82))
    assert [m["id"] for m in anns.all("new_message")] == [m["id"] for m in bobs.all("new_message")]


async def test_one_client_id_through_both_nodes_is_one_message(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    here, there = await ann.device(one.url), await ann.device(other.url)
    body = {"to": bob.id, "text": "once", "clientId": new_key()}

    acks = await asyncio.gather(
        *(device.call("send_message", body) for _ in range(10) for device in (here, there))
    )

    assert len({(ack["id"], ack["seq"]) for ack in acks}) == 1


async def test_signing_out_closes_the_sockets_on_every_node_within_two_seconds(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann = await join("ann", one.url)
    here, there = await ann.device(one.url), await ann.device(other.url)
    started = time.monotonic()

    assert (await ann.http.post("/api/auth/logout")).status == 200

    for device in (here, there):
        await device.wait_for("session_ended", lambda said: said["code"] == "signed_out")
        await asyncio.wait_for(device.closed.wait(), 2)
    assert time.monotonic() - started < 2

    async def is_refused() -> bool:
        return (await ann.http.get(other.url + "/api/auth/me")).status == 401

    await eventually(is_refused, seconds=2)


async def test_typing_and_presence_cross_nodes(two_nodes: tuple[Node, Node], join: SignUp) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    await ann.befriend(bob)
    bobs = await bob.device(other.url)

    anns = await ann.device(one.url)
    await bobs.wait_for("user_online", lambda said: said["userId"] == ann.id)
    await anns.call("typing", {"to": bob.id, "isTyping": True})
    await bobs.wait_for("typing_indicator", lambda said: said["isTyping"])
    await anns.close()

    assert (await bobs.wait_for("user_offline", lambda said: said["userId"] == ann.id))["lastSeen"]


async def test_a_member_added_on_one_node_hears_the_group_on_the_other(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    anns, bobs = await ann.device(one.url), await bob.device(other.url)
    group = (await ann.http.post("/api/conversations", {"name": "club", "memberIds": []})).data["id"]

    await ann.http.post(f"/api/conversations/{group}/members", {"userId": bob.id})
    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "created")
    await anns.send("welcome", conversationId=group)
    await bobs.wait_for("new_message", lambda message: message["text"] == "welcome")
    await ann.http.delete(f"/api/conversations/{group}/members/{bob.id}")
    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "member_removed")
    await anns.send("he is gone", conversationId=group)
    await anns.wait_for("new_message", lambda message: message["text"] == "he is gone")

    assert await bobs.hears_nothing_but("conversation_updated", "new_message")
    assert [m["text"] for m in bobs.all("new_message")] == ["welcome"]


async def test_what_the_bus_loses_is_healed_live_from_the_streams(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp, tmp_path: Path
) -> None:
    async with Engines(tmp_path, mongo=False, redis=True) as redis:
        settings = make_settings(redis_url=redis.redis_url, timeouts={"stream_sweep": 60.0})
        one, other = await start_node(settings), await start_node(settings)
        ann, bob = await join("ann", one.url), await join("bob", one.url)
        anns, bobs = await ann.device(one.url), await bob.device(other.url)
        await anns.send("before", to=bob.id)
        await bobs.wait_for("new_message")
        os.kill(redis.redis_pid, signal.SIGSTOP)

        sent = [await anns.send(f"{n}", to=bob.id) for n in range(20)]
        assert [m["seq"] for m in sent] == list(range(2, 22))
        await eventually(lambda: other.services.bus is not None and not other.services.bus.is_up)
        assert (await bob.http.get(other.url + "/readyz")).status == 503
        assert len(bobs.all("new_message")) == 1
        os.kill(redis.redis_pid, signal.SIGKILL)

        await bobs.wait_until(lambda: len(bobs.all("new_message")) == 21, seconds=10)
        assert [m["seq"] for m in bobs.all("new_message")] == list(range(1, 22))
        await eventually(lambda: other.services.bus is not None and other.services.bus.is_up)
