"""The gateway against everything a client can send: one answer each, nothing lost, the server lives."""

import json

import pytest

from tests.clients import Person, new_key
from tests.conftest import Node
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


@pytest.mark.parametrize("token", [None, "", "rubbish", "a.b.c"])
async def test_a_connect_without_a_good_token_is_refused_and_closed_at_once(
    plaza: Node, token: str | None
) -> None:
    async with RawSocket(plaza.url) as socket:
        refusal = await socket.open(token)
        assert refusal.startswith("44")
        assert json.loads(refusal[2:])["data"]["status_code"] == 401
        await socket.closed(2.0)


async def test_nobody_acts_before_connecting(plaza: Node) -> None:
    async with RawSocket(plaza.url) as socket:
        await socket.hear()
        assert (await socket.answer(f"421{SYNC}", 1))["error"]["code"] == "not_connected"


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


async def test_a_room_is_joined_by_what_one_is_a_member_of_never_by_name(
    plaza: Node, ann: Person, bob: Person
) -> None:
    device = await ann.device()
    for body in ({"room": f"user:{bob.id}"}, {"conversationId": f"user:{bob.id}"}, {"friendId": "*"}, {}):
        assert await device.refused("join_room", body) in {"unknown_field", "invalid_payload"}
    assert all(one.user_id == bob.id for one in plaza.services.local.listeners(f"user:{bob.id}"))
