"""Devices, through the doors that phones and browsers use."""

import asyncio
import json
from typing import Any

import pytest

from common.ids import new_id
from documents.accounts import LoginSession
from documents.push import PushDevice
from documents.rows import rows
from realtime.features.push.rules.endpoints import is_allowed
from tests.accounts import log_in
from tests.clients import Http, Person
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.push.browsers import Browser, b64
from tests.push.conftest import MakePush, StartPushing, iphone, new_token, register

SERVICE = "https://fcm.googleapis.com"


async def devices(person: Person) -> list[Any]:
    reply = await person.http.get("/api/devices")
    assert reply.status == 200, reply.body
    return reply.data


async def logged_in_elsewhere(person: Person) -> Http:
    """Another log-in of the same person."""
    reply = await log_in(person.http.url, person.handle, person.password)
    return Http(person.http.url, reply.body["access_token"])


async def test_p21_a_device_is_registered_listed_and_removed(ann: Person) -> None:
    reply = await ann.http.post("/api/devices", {"platform": "ios", "token": new_token().upper()})

    assert reply.status == 201
    assert set(reply.data) == {"id", "platform", "createdAt", "seenAt", "current"}
    assert await devices(ann) == [reply.data]
    assert (await ann.http.delete(f"/api/devices/{reply.data['id']}")).status == 200
    assert await devices(ann) == []
    assert (await ann.http.delete(f"/api/devices/{reply.data['id']}")).status == 404


async def test_p21_a_token_is_one_device(ann: Person) -> None:
    token = new_token()

    ids = await asyncio.gather(*(register(ann, "ios", token) for _ in range(10)))

    assert len(set(ids)) == 1
    assert len(await devices(ann)) == 1


async def test_p21_a_phone_that_changes_hands_is_its_new_owners(ann: Person, bob: Person) -> None:
    token = new_token()
    device = await register(ann, "ios", token)
    before = (await devices(ann))[0]

    await register(bob, "ios", token)

    assert await devices(ann) == []
    assert (await ann.http.delete(f"/api/devices/{device}")).status == 404
    assert [one["platform"] for one in await devices(bob)] == ["ios"]
    assert (await devices(bob))[0]["createdAt"] >= before["seenAt"]


async def test_p21_of_many_who_name_a_token_at_once_one_has_it(ann: Person, bob: Person) -> None:
    token = new_token()

    await asyncio.gather(*(register(who, "ios", token) for who in (ann, bob) * 10))

    assert len(await devices(ann)) + len(await devices(bob)) == 1


async def test_p21_anothers_device_is_not_there(ann: Person, bob: Person) -> None:
    device = await register(ann, "ios", new_token())

    for name in (device, new_id(), "x", "%00"):
        assert (await bob.http.delete(f"/api/devices/{name}")).status == 404
    assert len(await devices(ann)) == 1


async def test_p21_devices_end_with_their_log_in(ann: Person) -> None:
    elsewhere = await logged_in_elsewhere(ann)
    phone = await elsewhere.post("/api/devices", {"platform": "ios", "token": new_token()})
    await iphone(ann)
    assert [one["current"] for one in await devices(ann)] == [True, False]

    assert (await elsewhere.post("/api/auth/logout")).status == 200
    await elsewhere.__aexit__()

    assert phone.data["id"] not in [one["id"] for one in await devices(ann)]
    assert len(await devices(ann)) == 1


async def test_p21_whose_session_is_ended_from_elsewhere_has_no_device(
    ann: Person, pushing: StartPushing
) -> None:
    pushes = await pushing()
    elsewhere = await logged_in_elsewhere(ann)
    await elsewhere.post("/api/devices", {"platform": "ios", "token": new_token()})
    sessions = (await ann.http.get("/api/auth/sessions")).data
    other = next(one["id"] for one in sessions if not one["current"])

    await ann.http.delete(f"/api/auth/sessions/{other}")
    await pushes.devices.end_with_logins(
        (await rows(LoginSession).find_one({"_id": other}) or {})["revoked_at"]
    )
    await elsewhere.__aexit__()

    assert await devices(ann) == []
    assert await rows(PushDevice).count_documents({"user_id": ann.id}) == 0


async def test_p21_a_person_keeps_the_devices_that_were_seen_last(ann: Person, plaza: Node) -> None:
    most = plaza.services.settings.push.devices_per_user

    ids = [await register(ann, "ios", new_token()) for _ in range(most + 3)]

    assert [one["id"] for one in await devices(ann)] == ids[:2:-1]


async def test_p21_browsers_get_a_key_where_they_get_pushes(
    join: SignUp, start_node: StartNode, make_settings: MakeSettings, push_settings: MakePush, ann: Person
) -> None:
    node = await start_node(make_settings(push=push_settings()))
    eve = await join("eve", node.url)

    reply = await eve.http.get("/api/devices/web-key")

    assert reply.status == 200
    assert len(reply.data["publicKey"]) == 87
    assert (await ann.http.get("/api/devices/web-key")).code == "not_found"


async def test_p21_a_subscription_is_taken_as_an_object_and_as_its_json(ann: Person) -> None:
    subscription = Browser(SERVICE).subscription

    ids = {await register(ann, "web", subscription), await register(ann, "web", json.dumps(subscription))}

    assert len(ids) == 1


def hostile_bodies() -> list[Any]:
    good, keys = Browser(SERVICE).subscription, Browser(SERVICE).subscription["keys"]
    tokens: list[tuple[Any, Any]] = [
        ("ios", "x" * 64),
        ("ios", "ab" * 31),
        ("ios", "a" * 65),
        ("ios", "ab" * 200),
        ("ios", "../" + "ab" * 32),
        ("ios", good),
        ("android", "short"),
        ("android", "a b" * 20),
        ("android", "é" * 40),
        ("android", "a" * 4097),
        ("android", good),
        ("web", new_token()),
        ("web", "{" * 3000),
        ("web", "[" * 4000),
        ("web", json.dumps({**good, "more": 1})),
        ("web", {**good, "more": 1}),
        ("web", {**good, "keys": {**keys, "more": "1"}}),
        ("web", {**good, "keys": {"auth": keys["auth"]}}),
        ("web", {**good, "keys": {**keys, "p256dh": b64(b"\x04" + b"\x01" * 64)}}),
        ("web", {**good, "keys": {**keys, "p256dh": b64(b"\x00")}}),
        ("web", {**good, "keys": {**keys, "auth": b64(b"short")}}),
        ("web", {**good, "keys": {**keys, "auth": "$where"}}),
        ("web", {**good, "endpoint": "https://fcm.googleapis.com/" + "x" * 3000}),
        ("web", {**good, "endpoint": {"$ne": None}}),
        ("windows", new_token()),
        (None, new_token()),
        ("ios", None),
        ("ios", {"$gt": ""}),
        ("ios", [new_token()]),
        ("ios", 7),
    ]
    return [
        *({"platform": platform, "token": token} for platform, token in tokens),
        {"platform": "ios", "token": new_token(), "userId": new_id()},
        {"platform": "ios"},
        {},
        [],
        None,
    ]


async def test_p21_what_is_no_device_is_refused(ann: Person) -> None:
    for body in hostile_bodies():
        reply = await ann.http.post("/api/devices", body)
        assert reply.status in (400, 422), (body, reply.body)
        assert reply.body["success"] is False
    assert await devices(ann) == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://localhost/x",
        "https://fcm.googleapis.com@10.0.0.1/x",
        "https://10.0.0.1#fcm.googleapis.com",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://push.apple.com/x",
        "https://.push.apple.com/x",
        "https://fcm.googleapis.com\\@evil.example/x",
        "https://fcm.googleapis.com%2eevil.example/x",
        "https://fcm。googleapis.com/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/\nHost: evil",
        "https://fcm.googleapis.com:99999/x",
        "https://[fcm.googleapis.com/x",
        "file:///etc/passwd",
        "gopher://fcm.googleapis.com/",
        "//fcm.googleapis.com/x",
        "fcm.googleapis.com",
    ],
)
async def test_p21_nobody_makes_us_send_to_where_no_push_service_is(ann: Person, endpoint: str) -> None:
    body = {"platform": "web", "token": {**Browser(SERVICE).subscription, "endpoint": endpoint}}

    reply = await ann.http.post("/api/devices", body)

    assert (reply.status, reply.body["errors"][0]["field"]) == (422, "token.endpoint")
    assert await devices(ann) == []


def test_any_host_may_be_allowed_but_never_figures() -> None:
    assert is_allowed("https://push.example.org/x", ["*"])
    for endpoint in (
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://0x7f000001/x",
        "https://017700000001",
    ):
        assert not is_allowed(endpoint, ["*"])
    assert not is_allowed("https://localhost/x", ["*"])
    assert is_allowed(
        "https://updates.push.services.mozilla.com/wpush/v2/a-b_c", ["*.push.services.mozilla.com"]
    )


async def test_p21_a_stranger_has_no_devices(plaza: Node) -> None:
    async with Http(plaza.url) as http:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/web-key"), ("DELETE", f"/{new_id()}")):
            reply = await http.ask(method, f"/api/devices{path}", json={})
            assert reply.status == 401
