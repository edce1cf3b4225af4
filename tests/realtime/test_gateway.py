"""The gateway against everything a client can send: one answer each, nothing lost, the server lives."""

import asyncio
import json
import time

import aiohttp
import pytest

from common.settings import Settings
from tests.clients import Device, Person, new_key, sign_up
from tests.conftest import MakeSettings, Node, StartNode
from tests.raw import RawSocket

SYNC = '["sync",{}]'


async def is_alive(socket: RawSocket) -> bool:
    return (await socket.answer(f"42777{SYNC}", 777))["ok"]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        ('42{"', "bad_packet"),
        ("42[", "bad_packet"),
        ("42", "bad_event_name"),
        ("42[]", "bad_event_name"),
        ("42null", "bad_event_name"),
        ("42[5]", "bad_event_name"),
        ('42[{"a":1}]', "bad_event_name"),
        ('42["' + "x" * 65 + '",{}]', "bad_event_name"),
        ("42" + "9" * 200 + SYNC, "bad_packet"),
        ('42["sync",{"updates":NaN}]', "invalid_payload"),
        ('42["sync",{"updates":1e999}]', "invalid_payload"),
        ('42["sync",{"a":"\\ud800"}]', "invalid_payload"),
        ('42["sync",{"a":' + "[" * 40 + "]" * 40 + "}]", "too_deep"),
        ('451-["sync",{"_placeholder":true,"num":0}]', "binary_not_supported"),
        ('459999999999-["sync",{"_placeholder":true,"num":0}]', "binary_not_supported"),
        ("42/admin," + SYNC, "bad_namespace"),
        ("47", "bad_packet"),
        ("4", "bad_packet"),
    ],
)
async def test_a_packet_that_is_none_gets_a_typed_error_and_the_socket_lives(
    plaza: Node, ann: Person, packet: str, code: str
) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)

        error = await socket.answer(packet)

        assert (error["code"], error["success"]) == (code, False)
        assert await is_alive(socket)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ('["nothing_known",{}]', "unknown_event"),
        ('["connect",{"REMOTE_ADDR":"x"},{"token":"y"}]', "invalid_payload"),
        ('["connect",{}]', "reserved_event"),
        ('["disconnect",{}]', "reserved_event"),
        ('["connect_error"]', "reserved_event"),
        ('["__proto__",{}]', "reserved_event"),
        ('["*",{}]', "reserved_event"),
        ('["trigger_event",{}]', "reserved_event"),
        ('["on_connect",{}]', "reserved_event"),
        ('["sync",5]', "invalid_payload"),
        ('["sync",null]', "invalid_payload"),
        ('["sync",[]]', "invalid_payload"),
        ('["sync",{},{}]', "invalid_payload"),
        ('["sync",{"streams":5}]', "invalid_payload"),
        ('["sync",{"unknown":5}]', "unknown_field"),
        ('["sync",{"updates":-1}]', "invalid_payload"),
        ('["sync",{"updates":' + "9" * 40 + "}]", "invalid_payload"),
    ],
)
async def test_every_event_is_acknowledged_exactly_once(
    plaza: Node, ann: Person, event: str, code: str
) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)

        ack = await socket.answer(f"4212{event}", 12)

        assert (ack["ok"], ack["error"]["code"]) == (False, code)
        assert ack["error"]["request_id"]
        assert await is_alive(socket)


async def test_a_forged_connect_event_does_not_change_who_one_is(
    plaza: Node, ann: Person, bob: Person
) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)
        forged = json.dumps(["connect", {"token": bob.token}])
        assert (await socket.answer(f"421{forged}", 1))["error"]["code"] == "reserved_event"
        again = "40" + json.dumps({"token": bob.token})
        assert (await socket.answer(again))["code"] == "already_authenticated"

        body = json.dumps(["send_message", {"to": bob.id, "text": "me", "clientId": new_key()}])
        ack = await socket.answer(f"422{body}", 2)

        assert ack["data"]["from"] == ann.id


async def test_a_binary_frame_is_refused(plaza: Node, ann: Person) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)
        await socket.ws.send_bytes(b"\x00" * 1000)
        assert json.loads((await socket.hear())[2:])[1]["code"] == "binary_not_supported"
        assert await is_alive(socket)


async def test_a_frame_over_the_limit_closes_with_1009_and_one_below_does_not(
    plaza: Node, ann: Person
) -> None:
    limit = plaza.services.settings.limits.frame_bytes
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)
        padded = '421["sync",{"x":"' + "y" * (limit - 20) + '"}]'
        assert (await socket.answer(padded, 1))["error"]["code"] == "unknown_field"
        await socket.say('421["sync",{"x":"' + "y" * limit + '"}]')
        assert await socket.closed() == 1009


async def test_a_socket_that_keeps_sending_rubbish_is_closed(plaza: Node, ann: Person) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)
        for _ in range(11):
            await socket.say("42[")
        assert await socket.closed() == 1008


async def test_a_forged_ack_changes_nothing(plaza: Node, ann: Person) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.open(ann.token)
        await socket.say('4399["yes"]')
        assert await is_alive(socket)


async def test_compression_is_not_negotiated(plaza: Node, ann: Person) -> None:
    async with RawSocket(plaza.url) as socket:
        assert socket.ws.compress == 0
        assert "Sec-WebSocket-Extensions" not in socket.ws._response.headers


@pytest.mark.parametrize("token", [None, "", "rubbish", "a.b.c"])
async def test_a_connect_without_a_good_token_is_refused_and_closed_at_once(
    plaza: Node, token: str | None
) -> None:
    async with RawSocket(plaza.url) as socket:
        refusal = await socket.open(token)
        assert refusal.startswith("44")
        assert json.loads(refusal[2:])["data"]["status_code"] == 401
        await socket.closed(2.0)


async def test_a_socket_that_never_connects_is_closed_after_the_deadline(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(timeouts={"authenticate": 0.3}))
    async with RawSocket(node.url) as socket:
        await socket.closed(2.0)


async def test_nobody_acts_before_connecting(plaza: Node) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.hear()
        assert (await socket.answer(f"421{SYNC}", 1))["error"]["code"] == "not_connected"


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


async def test_a_farewell_waits_for_who_is_between_two_polls(plaza: Node, ann: Person) -> None:
    base = f"{plaza.url}/socket.io/?EIO=4&transport=polling"
    sid = json.loads((await ann.http.get(base)).body[1:])["sid"]
    poll = f"{base}&sid={sid}"
    await ann.http.ask("POST", poll, data="40" + json.dumps({"token": ann.token}))
    assert (await ann.http.get(poll)).body.startswith("40")

    assert (await ann.http.post("/api/auth/logout")).status == 200

    ended, disconnect = (await ann.http.get(poll)).body.split("\x1e")
    assert json.loads(ended[2:])[1]["code"] == "signed_out"
    assert disconnect == "41"
    assert (await ann.http.get(poll)).status == 400


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


async def test_a_command_that_breaks_is_answered_without_its_text(
    plaza: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(plaza.services.sync, "sync", broken)
    device = await ann.device()

    ack = await device.ack("sync", {})

    assert ack["error"]["code"] == "internal"
    assert "secret" not in json.dumps(ack)


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


async def test_a_room_is_joined_by_what_one_is_a_member_of_never_by_name(
    plaza: Node, ann: Person, bob: Person
) -> None:
    device = await ann.device()
    for body in ({"room": f"user:{bob.id}"}, {"conversationId": f"user:{bob.id}"}, {"friendId": "*"}, {}):
        assert await device.refused("join_room", body) in {"unknown_field", "invalid_payload"}
    assert all(one.user_id == bob.id for one in plaza.services.local.listeners(f"user:{bob.id}"))
