"""What moderators do holds on every node within two seconds, on open sockets too, and ends by the clock."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from documents.accounts import User
from documents.moderation import Sanction
from documents.rows import rows
from tests.accounts import log_in, post
from tests.clients import Device, Person, eventually, new_key
from tests.clients import Refused as NotDone
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.staff import act, case_about, new_admin, put, report

SOON = 2
"""Seconds within which it holds everywhere."""
PATIENCE = 6
"""Seconds that a test waits where it is not about the time: this machine may be busy."""


@pytest.fixture
async def admin(two_nodes: tuple[Node, Node]) -> AsyncIterator[Person]:
    admin = await new_admin(two_nodes[0])
    yield admin
    await admin.leave()


@pytest.fixture
async def apart(start_node: StartNode, make_settings: MakeSettings) -> Node:
    """A node that no bus tells anything."""
    return await start_node(make_settings())


async def refusal(device: Device, to: Person) -> str | None:
    """Why a message is refused; None when it is not."""
    try:
        await device.send("anything", to=to.id)
    except NotDone as refused:
        return refused.code
    return None


# -- the queue, live


async def test_moderators_hear_of_reports_on_every_node_and_nobody_else_does(
    two_nodes: tuple[Node, Node], admin: Person, join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob, moderator = [await join(name, one.url) for name in ("ann", "bob", "mod")]
    await put(admin, moderator.id, is_moderator=True)
    here, there = await admin.device(one.url), await moderator.device(other.url)
    stranger, subject = await ann.device(one.url), await bob.device(other.url)

    made = await report(ann, "user", bob.id)
    heard = [await device.wait_for("report_received") for device in (here, there)]

    assert heard[0] == heard[1]
    assert (heard[0]["targetType"], heard[0]["reason"], heard[0]["reporters"]) == ("user", "harassment", 1)
    assert made["id"] not in str(heard)
    await moderator.http.post(f"/api/admin/reports/{heard[0]['reportId']}/claim")
    for device in (here, there):
        claimed = await device.wait_for("report_updated")
        assert (claimed["claimedBy"], claimed["status"]) == (moderator.id, "open")
    for device in (stranger, subject):
        assert await device.hears_nothing_but()
    await admin.leave()


async def test_a_moderator_hears_nothing_of_reports_about_themselves(
    two_nodes: tuple[Node, Node], admin: Person, join: SignUp
) -> None:
    one, _ = two_nodes
    ann, bob, moderator = [await join(name, one.url) for name in ("ann", "bob", "mod")]
    await put(admin, moderator.id, is_moderator=True)
    device = await moderator.device(one.url)

    await report(ann, "user", moderator.id)
    await report(ann, "user", bob.id)

    about_bob = (await case_about(admin, bob.id))["id"]
    await device.wait_for("report_received", lambda said: said["reportId"] == about_bob)
    assert [said["reportId"] for said in device.all("report_received")] == [about_bob]


@pytest.mark.parametrize("way", ["by an administrator", "in the database"])
async def test_who_gets_or_loses_a_role_hears_of_the_queue_accordingly(
    two_nodes: tuple[Node, Node], admin: Person, join: SignUp, bob: Person, way: str
) -> None:
    one, other = two_nodes
    person = await join("mod", one.url)
    device, witness = await person.device(other.url), await admin.device(other.url)
    await put(admin, person.id, is_moderator=True)

    async def hears() -> bool:
        """Whether the device hears of a new report, by the time a moderator on its node does."""
        before, known = len(device.all("report_received")), len(witness.all("report_received"))
        await report(await join("someone", one.url), "user", bob.id)
        await witness.wait_until(lambda: len(witness.all("report_received")) > known)
        await device.call("sync", {})
        return len(device.all("report_received")) > before

    async def is_deaf() -> bool:
        return not await hears()

    await eventually(hears, PATIENCE)
    if way == "by an administrator":
        await put(admin, person.id, is_moderator=False)
    else:
        await rows(User).update_one({"_id": person.id}, {"$set": {"is_moderator": False}})
    await eventually(is_deaf, PATIENCE)
    await admin.leave()


# -- bans


async def test_a_ban_ends_every_socket_and_session_on_every_node(
    two_nodes: tuple[Node, Node], apart: Node, admin: Person, ann: Person, bob: Person
) -> None:
    await bob.befriend(ann)
    devices = [await ann.device(node.url) for node in (*two_nodes, apart)]
    started = time.monotonic()

    ban = await act(admin, ann.id, "ban", durationSeconds=3600, reason="spamming everybody")

    for device in devices[:2]:
        await asyncio.wait_for(device.closed.wait(), SOON)
        assert device.all("session_ended")[0]["code"] == "account_banned"
    assert time.monotonic() - started < SOON
    await asyncio.wait_for(devices[2].closed.wait(), PATIENCE)
    for node in (*two_nodes, apart):
        url = node.url

        async def is_out(url: str = url) -> bool:
            return (await ann.http.get(f"{url}/api/auth/me")).status == 403

        await eventually(is_out, PATIENCE)
        assert (await ann.http.get(f"{url}/api/auth/me")).code == "account_banned"
    for refused in (
        await log_in(ann.http.url, ann.handle, ann.password),
        await post(ann.http.url, "/api/auth/refresh", {"refresh_token": ann.refresh_token}),
    ):
        assert (refused.status, refused.code) == (403, "account_banned")
        assert refused.body["detail"]["reason"] == "spamming everybody"
        assert refused.body["detail"]["sanctionId"] == ban["id"]
    assert (await bob.http.get(f"/api/users/{ann.id}")).status == 404


async def test_only_the_right_password_learns_of_a_ban(admin: Person, ann: Person) -> None:
    await act(admin, ann.id, "ban")
    assert (await log_in(ann.http.url, ann.handle, "not the password")).code == "invalid_credentials"


async def test_a_ban_ends_by_the_clock(admin: Person, ann: Person, bob: Person) -> None:
    await act(admin, ann.id, "ban", durationSeconds=2)
    assert (await log_in(ann.http.url, ann.handle, ann.password)).code == "account_banned"

    async def is_back() -> bool:
        return (await log_in(ann.http.url, ann.handle, ann.password)).status == 200

    await eventually(is_back, 10)
    assert (await bob.http.get(f"/api/users/{ann.id}")).status == 200
    shown = (await admin.http.get(f"/api/admin/users/{ann.id}")).data
    assert (shown["standing"], shown["is_banned"]) == ("active", False)
    (ended,) = (await admin.http.get(f"/api/admin/users/{ann.id}/actions")).data
    assert ended["status"] == "expired"


async def test_the_longest_of_several_bans_holds_and_a_reversal_leaves_the_others(
    admin: Person, ann: Person
) -> None:
    for_ever = await act(admin, ann.id, "ban")
    short = await act(admin, ann.id, "ban", durationSeconds=3600)
    told = await log_in(ann.http.url, ann.handle, ann.password)
    assert (told.body["detail"]["until"], told.body["detail"]["sanctionId"]) == (None, for_ever["id"])

    path = "/api/admin/actions/{}/reverse"
    replies = await asyncio.gather(
        *(admin.http.post(path.format(for_ever["id"]), {"reason": "a mistake"}) for _ in range(5))
    )

    assert sorted(reply.status for reply in replies) == [200] + [409] * 4
    told = await log_in(ann.http.url, ann.handle, ann.password)
    assert told.body["detail"]["sanctionId"] == short["id"]
    assert (await admin.http.post(path.format(short["id"]), {})).data["status"] == "reversed"
    assert (await log_in(ann.http.url, ann.handle, ann.password)).status == 200


async def test_who_logs_in_while_being_banned_does_not_stay(
    two_nodes: tuple[Node, Node], admin: Person, ann: Person
) -> None:
    tries = [log_in(node.url, ann.handle, ann.password) for node in two_nodes for _ in range(4)]
    replies, _ = await asyncio.gather(asyncio.gather(*tries), act(admin, ann.id, "ban"))

    assert {reply.status for reply in replies} <= {200, 401, 403}
    tokens = [reply.body["token"] for reply in replies if reply.status == 200]

    async def nobody_is_in() -> bool:
        asked = [
            await ann.http.get(f"{node.url}/api/auth/me", headers={"Authorization": f"Bearer {token}"})
            for token in tokens
            for node in two_nodes
        ]
        return all(reply.status == 403 for reply in asked)

    await eventually(nobody_is_in, PATIENCE)


async def test_an_approval_and_a_ban_at_once_both_hold(admin: Person, ann: Person) -> None:
    await rows(User).update_one({"_id": ann.id}, {"$set": {"is_approved": False}})

    approved, _ = await asyncio.gather(
        admin.http.post(f"/api/admin/users/{ann.id}/approve"), act(admin, ann.id, "ban")
    )

    assert approved.status == 200
    shown = (await admin.http.get(f"/api/admin/users/{ann.id}")).data
    assert (shown["standing"], shown["is_approved"], shown["is_banned"]) == ("banned", True, True)


async def test_a_ban_whose_node_died_at_once_still_ends_sockets_and_is_told(
    two_nodes: tuple[Node, Node], admin: Person, ann: Person
) -> None:
    one, other = two_nodes
    device = await ann.device(other.url)
    moderation = one.services.moderation.sanctions
    ban = Sanction(user_id=ann.id, action="ban", reason="x", issued_by=admin.id)

    await one.services.accounts.audit.turn(lambda turn: moderation.impose(turn, ban))  # and no more

    await asyncio.wait_for(device.closed.wait(), PATIENCE)
    early = ban.issued_at - timedelta(minutes=1)
    await rows(Sanction).update_one({"_id": ban.id}, {"$set": {"issued_at": early}})
    await asyncio.gather(moderation.tell_untold(), other.services.moderation.sanctions.tell_untold())
    await admin.http.post(f"/api/admin/actions/{ban.id}/reverse", {})
    ann.http.token = (await log_in(one.url, ann.handle, ann.password)).body["token"]
    told = (await ann.http.get("/api/notifications")).data
    assert sorted(one["data"]["state"] for one in told if one["type"] == "system") == ["reversed", "standing"]


# -- mutes


async def test_who_is_muted_reads_and_does_not_write_by_any_door(
    two_nodes: tuple[Node, Node], apart: Node, admin: Person, join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    devices = [await ann.device(node.url) for node in (one, other, apart)]
    sent = await devices[0].send("before", to=bob.id)
    hers = await bob.http.post("/api/messages", {"to": ann.id, "text": "hi", "clientId": new_key()})

    mute = await act(admin, ann.id, "mute", durationSeconds=3600)

    for device in devices:

        async def is_silent(device: Device = device) -> bool:
            return await refusal(device, bob) == "account_muted"

        await eventually(is_silent, PATIENCE)
    for method, path, body in (
        ("POST", "/api/messages", {"to": bob.id, "text": "x", "clientId": new_key()}),
        ("PATCH", f"/api/messages/{sent['id']}", {"messageId": sent["id"], "text": "y"}),
        ("POST", f"/api/messages/{hers.data['id']}/reactions", {"messageId": hers.data["id"], "emoji": "🤬"}),
        ("POST", "/api/conversations", {"name": "an insult", "memberIds": [bob.id]}),
    ):
        reply = await ann.http.ask(method, path, json=body)
        assert (reply.status, reply.code) == (403, "account_muted"), path
        assert reply.body["detail"]["until"] is not None
    assert (await ann.http.get(f"/api/messages/{bob.id}")).status == 200
    assert (await ann.http.delete(f"/api/messages/{sent['id']}")).status == 200
    await admin.http.post(f"/api/admin/actions/{mute['id']}/reverse", {})
    for device in devices:

        async def speaks(device: Device = device) -> bool:
            return await refusal(device, bob) is None

        await eventually(speaks, PATIENCE)


async def test_a_mute_is_known_from_the_start_of_a_node_and_ends_by_the_clock(
    start_node: StartNode, make_settings: MakeSettings, admin: Person, ann: Person, bob: Person
) -> None:
    await act(admin, ann.id, "mute", durationSeconds=3)
    late = await start_node(make_settings())
    body = {"to": bob.id, "text": "x", "clientId": new_key()}

    first = await ann.http.post(f"{late.url}/api/messages", body)

    assert (first.status, first.code) == (403, "account_muted")

    async def speaks() -> bool:
        return (await ann.http.post(f"{late.url}/api/messages", body)).status == 201

    await eventually(speaks, 10)


# -- limits


async def test_who_is_limited_reaches_no_strangers_and_is_found_by_friends_only(
    admin: Person, join: SignUp
) -> None:
    ann, bob, cyd, dan = [await join(name) for name in ("ann", "bob", "cyd", "dan")]
    await ann.befriend(bob)
    await dan.http.post("/api/messages", {"to": ann.id, "text": "hi", "clientId": new_key()})
    await dan.http.post("/api/friends/request", {"userId": ann.id})

    await act(admin, ann.id, "limit")

    def message(to: Person) -> dict[str, str]:
        return {"to": to.id, "text": "x", "clientId": new_key()}

    for path, body in (
        ("/api/friends/request", {"userId": cyd.id}),
        ("/api/messages", message(cyd)),
        ("/api/conversations", {"name": "all", "memberIds": [cyd.id]}),
    ):
        reply = await ann.http.post(path, body)
        assert (reply.status, reply.code) == (403, "account_limited"), path
    assert await refusal(await ann.device(), cyd) == "account_limited"
    assert (await ann.http.post("/api/messages", message(bob))).status == 201
    assert (await ann.http.post("/api/messages", message(dan))).status == 201
    assert (await ann.http.post("/api/friends/accept", {"userId": dan.id})).status == 200
    assert (await cyd.http.get("/api/users/search", params={"q": ann.handle})).data == []
    found = await bob.http.get("/api/users/search", params={"q": ann.handle})
    assert [one["id"] for one in found.data] == [ann.id]


# -- warnings, and being told


async def test_a_person_is_told_what_was_done_and_what_was_taken_back(
    two_nodes: tuple[Node, Node], admin: Person, ann: Person
) -> None:
    device = await ann.device(two_nodes[1].url)

    warning = await act(admin, ann.id, "warn", reason="be kind")
    await admin.http.post(f"/api/admin/actions/{warning['id']}/reverse", {"reason": "you were"})

    def is_about(state: str, reason: str) -> bool:
        said = [one["data"] for one in device.all("notification") if one["type"] == "system"]
        return any(one["state"] == state and one["reason"] == reason for one in said)

    await device.wait_until(lambda: is_about("standing", "be kind") and is_about("reversed", "you were"))
    (own,) = (await ann.http.get("/api/sanctions")).data
    assert (own["action"], own["status"], own["appeal"]) == ("warn", "reversed", "over")
    assert "note" not in own
    assert (await admin.http.post(f"/api/admin/actions/{warning['id']}/reverse", {})).code == "sanction_over"
