"""The life of a socket: opened, bounded, refused, slow, expired, drained, and nothing left behind."""

import asyncio
import json
import time

import aiohttp
import pytest

from common.errors import Unavailable
from common.settings import Settings
from tests.clients import Device, Person, sign_up
from tests.conftest import MakeSettings, Node, StartNode
from tests.raw import RawSocket

SYNC = '["sync",{}]'


async def test_compression_is_not_negotiated(plaza: Node, ann: Person) -> None:
    async with RawSocket(plaza.url) as socket:
        assert socket.ws.compress == 0
        assert "Sec-WebSocket-Extensions" not in socket.ws._response.headers


async def test_a_socket_that_never_connects_is_closed_after_the_deadline(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(timeouts={"authenticate": 0.3}))
    async with RawSocket(node.url) as socket:
        await socket.closed(2.0)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example.org", 101),
        ("https://evil.example.org", 403),
        ("https://app.example.org.evil.net", 403),
        ("http://app.example.org", 403),
        ("https://app.example.org:444", 403),
        ("https://app.example.org@evil.net", 403),
        ("null", 403),
        (None, 101),
    ],
)
async def test_only_pages_of_configured_origins_connect(
    make_settings: MakeSettings, start_node: StartNode, origin: str | None, status: int
) -> None:
    node = await start_node(make_settings(allowed_origins=("https://app.example.org",)))
    headers = {"Origin": origin} if origin is not None else {}
    if status == 101:
        async with RawSocket(node.url, headers) as socket:
            assert (await socket.hear()).startswith("0")
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await RawSocket(node.url, headers).__aenter__()
    assert refusal.value.status == status


async def test_a_token_in_the_address_is_refused(plaza: Node, ann: Person) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await RawSocket(plaza.url, query=f"&token={ann.token}").__aenter__()
    assert refusal.value.status == 400


async def test_too_many_unauthenticated_sockets_of_one_address_are_refused(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(limits={"unauthenticated_per_address": 3}))
    sockets = [await RawSocket(node.url).__aenter__() for _ in range(3)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await RawSocket(node.url).__aenter__()
    assert refusal.value.status == 429
    for socket in sockets:
        await socket.__aexit__()
    ann = await sign_up(node.url, "ann")
    assert await (await ann.device()).call("sync", {})
    await ann.leave()


async def test_a_flood_is_rate_limited_then_closed_and_others_do_not_notice(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(limits={"user_per_minute": 100}))
    ann, bob = await sign_up(node.url, "ann"), await sign_up(node.url, "bob")
    bobs = await bob.device()
    async with RawSocket(node.url) as socket:
        await socket.open(ann.token)
        for n in range(400):
            await socket.say(f"42{n + 1}{SYNC}")
        limited = 0
        while heard := await socket.hear():
            limited += "rate_limited" in heard and "retry_after_ms" in heard
        assert limited >= 100
    assert await bobs.call("sync", {})
    for person in (ann, bob):
        await person.leave()


async def test_more_sockets_than_one_may_have_close_the_oldest(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(limits={"sockets_per_user": 2}))
    ann = await sign_up(node.url, "ann")
    first, second = await ann.device(), await ann.device()
    third = await ann.device()
    await first.wait_for("session_ended", lambda said: said["code"] == "too_many_sockets")
    assert await second.call("sync", {})
    assert await third.call("sync", {})
    await ann.leave()


async def test_a_slow_reader_is_cut_and_recovers_everything_by_sync(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(limits={"outgoing_bytes": 65_536}))
    ann, bob = await sign_up(node.url, "ann"), await sign_up(node.url, "bob")
    anns = await ann.device()
    async with RawSocket(node.url) as stalled:
        await stalled.open(bob.token)
        stalled.stop_reading()
        text = "x" * 9_000
        for n in range(900):
            await anns.send(f"{n} {text}", to=bob.id)
            if not node.services.local.listeners(f"user:{bob.id}"):
                break
        assert not node.services.local.listeners(f"user:{bob.id}")
    count = len(anns.all("new_message"))
    bobs = await bob.device()
    conversation, seen = anns.all("new_message")[0]["conversationId"], list[int]()
    more = True
    while more:
        last = seen[-1] if seen else 0
        page = (await bobs.call("sync", {"streams": {conversation: last}}))["streams"][conversation]
        seen += [m["seq"] for m in page["messages"]]
        more = page["more"]
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= count
    for person in (ann, bob):
        await person.leave()


async def test_long_polling_and_its_upgrade_carry_a_conversation(
    plaza: Node, ann: Person, bob: Person
) -> None:
    polling = await ann.device(transports=["polling"])
    upgraded = await bob.device(transports=["polling", "websocket"])
    assert polling.sio.transport() == "polling"
    assert upgraded.sio.transport() == "websocket"

    for n in range(10):
        await polling.send(f"{n}", to=bob.id)
    await upgraded.send("answer", to=ann.id)

    await upgraded.wait_until(lambda: len(upgraded.all("new_message")) == 11)
    await polling.wait_until(lambda: len(polling.all("new_message")) == 11)
    for device in (polling, upgraded):
        assert [m["seq"] for m in device.all("new_message")] == list(range(1, 12))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("\x1e".join(["2"] * 501), {}, 400),
        ("4" + "x" * 70_000, {}, 400),
        ("42" + SYNC, {"Content-Encoding": "gzip"}, 400),
        ("b!!!notbase64", {}, 400),
    ],
)
async def test_a_hostile_polling_post_is_refused(
    plaza: Node, ann: Person, body: str, headers: dict[str, str], status: int
) -> None:
    base = f"{plaza.url}/socket.io/?EIO=4&transport=polling"
    greeting = (await ann.http.get(base)).body
    sid = json.loads(greeting[1:])["sid"]
    reply = await ann.http.ask("POST", f"{base}&sid={sid}", data=body.encode(), headers=headers)
    assert reply.status == status
    assert (await ann.http.get("/livez")).status == 200


async def test_a_token_that_runs_out_ends_the_socket_and_a_new_one_extends_it(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(accounts={"access_lifetime": 30}))
    ann = await sign_up(node.url, "ann")
    device = await ann.device()
    session = node.services.gateway.sessions[0]
    refreshed = await ann.http.post("/api/auth/refresh", {"refresh_token": ann.refresh_token})
    await device.call("auth_refresh", {"token": refreshed.body["access_token"]})
    assert session.identity.expires_at > time.time() + 25

    session.extend(type(session.identity)(ann.id, ann.handle, session.login_id, time.time() + 0.3))

    await device.wait_for("session_ended", lambda said: said["code"] == "token_expired")
    await asyncio.wait_for(device.closed.wait(), 5)
    await ann.leave()


async def test_draining_tells_everyone_and_takes_no_new_sockets(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    settings: Settings = make_settings(timeouts={"drain": 1.0})
    node = await start_node(settings)
    ann = await sign_up(node.url, "ann")
    device = await ann.device()
    draining = asyncio.create_task(node.server.drain())

    said = await device.wait_for("server_draining")

    assert 0 <= said["reconnect_after_ms"] < 1000
    assert (await ann.http.get("/readyz")).status == 503
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await RawSocket(node.url).__aenter__()
    await device.send("still heard", to=(other := await sign_up(node.url, "bob")).id)
    await draining
    for person in (ann, other):
        await person.leave()
    assert isinstance(device, Device)


async def test_a_socket_that_goes_while_it_connects_leaves_nothing_behind(
    plaza: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, entered, gate = plaza.services.gateway, asyncio.Event(), asyncio.Event()

    class Slow:
        async def opened(self, session: object) -> None:
            entered.set()
            await gate.wait()

        async def closed(self, session: object) -> None:
            gate.set()

    monkeypatch.setattr(gateway, "hooks", (*gateway.hooks, Slow()))
    async with RawSocket(plaza.url) as socket:
        await socket.hear()
        await socket.say("40" + json.dumps({"token": ann.token}))
        await entered.wait()
        assert plaza.services.local.listeners(f"user:{ann.id}")

    await asyncio.wait_for(gate.wait(), 5)
    assert not plaza.services.local.listeners(f"user:{ann.id}")
    assert all(session.user_id != ann.id for session in gateway.sessions)


async def test_a_connect_that_fails_halfway_leaves_nothing_behind(
    plaza: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = plaza.services.gateway

    class Broken:
        async def opened(self, session: object) -> None:
            raise RuntimeError("the secret inside")

        async def closed(self, session: object) -> None:
            return None

    monkeypatch.setattr(gateway, "hooks", (*gateway.hooks, Broken()))
    async with RawSocket(plaza.url) as socket:
        refusal = await socket.open(ann.token)
        assert "internal" in refusal
        assert "secret" not in refusal
        await socket.closed(2.0)
    assert not plaza.services.local.listeners(f"user:{ann.id}")
    assert all(session.user_id != ann.id for session in gateway.sessions)


async def test_a_compressed_frame_is_a_protocol_error(plaza: Node, ann: Person) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)
        socket.write_bytes(b"\xc1\x82\x00\x00\x00\x00xx")
        assert await socket.closed() == 1002


async def test_events_after_the_token_ran_out_are_refused(plaza: Node, ann: Person) -> None:
    device = await ann.device()
    session = next(one for one in plaza.services.gateway.sessions if one.user_id == ann.id)
    session.identity = type(session.identity)(ann.id, ann.handle, session.login_id, time.time() - 1)

    assert await device.refused("sync", {}) == "token_expired"


async def test_a_connect_that_the_store_cannot_decide_is_closed_so_that_clients_come_back(
    plaza: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(plaza.services.accounts, "authenticate", down)
    async with RawSocket(plaza.url) as socket:
        assert await socket.open(ann.token) == ""
        assert socket.ws.close_code == 1013
