"""Approval: who waits can do nothing, administrators decide once, and what they did stays written down."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from socketio.exceptions import ConnectionError as Refused

from documents.accounts import AdminAudit, LoginSession, User
from documents.rows import rows
from realtime.features.accounts.schemas.admin import AdminIn
from tests.accounts import PASSWORD, log_in, new_handle, new_person, post
from tests.clients import Device, Http, Person, eventually
from tests.conftest import MakeSettings, Node, SignUp, StartNode


@pytest.fixture
async def admin(plaza: Node) -> AsyncIterator[Http]:
    """An administrator, made as the command line makes them."""
    name = new_handle("root")
    await plaza.services.accounts.create_admin(AdminIn(username=name, password=PASSWORD))
    token = (await log_in(plaza.url, name, PASSWORD)).body["token"]
    async with Http(plaza.url, token) as http:
        yield http


@pytest.fixture
async def careful(start_node: StartNode, make_settings: MakeSettings) -> Node:
    """A node on which accounts wait for approval."""
    return await start_node(make_settings(accounts={"approval_required": True}))


async def waiting(node: Node) -> tuple[str, str]:
    """Somebody who waits for approval: their name and id."""
    username = new_handle()
    assert (
        await post(node.url, "/api/auth/register", {"username": username, "password": PASSWORD})
    ).status == 201
    found = await rows(User).find_one({"handle": username})
    assert found is not None
    assert found["is_approved"] is False
    return username, found["_id"]


async def test_who_waits_for_approval_gets_no_tokens(careful: Node) -> None:
    wanted = new_person()

    signed_up = await post(careful.url, "/api/auth/signup", wanted)
    logged_in = await log_in(careful.url, wanted["handle"], PASSWORD)

    assert signed_up.status == 201
    assert signed_up.data["user"]["is_approved"] is False
    assert signed_up.data["access_token"] is None
    assert "token" not in signed_up.body
    assert logged_in.status == 403
    assert logged_in.code == "pending_approval"
    assert await rows(LoginSession).count_documents({"user_id": signed_up.data["user"]["id"]}) == 0


async def test_only_the_right_password_learns_that_an_account_waits(careful: Node) -> None:
    username, _ = await waiting(careful)
    assert (await log_in(careful.url, username, "not the password")).code == "invalid_credentials"


async def test_an_approved_person_may_log_in(careful: Node, admin: Http) -> None:
    username, user_id = await waiting(careful)

    reply = await admin.post(f"/api/admin/users/{user_id}/approve/")

    assert reply.status == 200
    assert reply.data["is_approved"] is True
    assert (await log_in(careful.url, username, PASSWORD)).status == 200


async def test_a_rejected_person_may_not(careful: Node, admin: Http) -> None:
    username, user_id = await waiting(careful)

    assert (await admin.post(f"/api/admin/users/{user_id}/reject")).data["rejected"] is True

    assert (await log_in(careful.url, username, PASSWORD)).code == "account_rejected"
    assert (await log_in(careful.url, username, "not the password")).code == "invalid_credentials"


async def test_of_many_decisions_one_stands_and_leaves_one_row(careful: Node, admin: Http) -> None:
    _, user_id = await waiting(careful)
    verbs = ["approve", "reject"] * 5

    replies = await asyncio.gather(*(admin.post(f"/api/admin/users/{user_id}/{verb}") for verb in verbs))

    assert sorted(reply.status for reply in replies) == [200] + [409] * 9
    assert {reply.code for reply in replies if reply.status == 409} == {"already_decided"}
    stored = await rows(AdminAudit).find({"target": user_id}).to_list()
    winner = next(verb for verb, reply in zip(verbs, replies, strict=True) if reply.status == 200)
    assert [row["action"] for row in stored] == [f"user_{winner}"]
    assert stored[0]["actor"] == (await admin.get("/api/auth/me")).data["id"]


async def test_those_who_wait_are_listed_in_the_order_they_came(careful: Node, admin: Http) -> None:
    ids = [(await waiting(careful))[1] for _ in range(3)]

    seen: list[str] = []
    total, cursor = 0, ""
    while cursor is not None:
        page = await admin.get(
            "/api/admin/users/pending", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        )
        seen += [user["id"] for user in page.data]
        total, cursor = page.body["pagination"]["total"], page.body["pagination"]["next_cursor"]

    assert [user_id for user_id in seen if user_id in ids] == ids
    assert len(seen) == len(set(seen)) == total


async def test_g14_all_accounts_are_listed_newest_first(admin: Http, join: SignUp) -> None:
    older, newer = await join("older"), await join("newer")

    page = await admin.get("/api/admin/users", params={"per_page": 2})

    assert [user["id"] for user in page.data] == [newer.id, older.id]
    assert page.data[0]["email"] == newer.email
    assert set(page.data[0]) == {
        *("id", "username", "handle", "email", "name", "standing", "created_at", "last_active"),
        *("is_admin", "is_moderator", "is_approved", "rejected", "is_certified"),
        *("is_banned", "banned_until", "is_muted", "muted_until", "is_limited", "limited_until"),
    }


@pytest.mark.parametrize(
    "method", ["GET /users", "GET /users/pending", "POST /users/{}/approve", "POST /users/{}/reject"]
)
async def test_only_administrators_decide(ann: Person, bob: Person, method: str) -> None:
    verb, path = method.split(" ")
    path = "/api/admin" + path.format(bob.id)

    reply = await ann.http.ask(verb, path)
    ann.http.token = None

    assert reply.status == 403
    assert reply.code == "admin_only"
    assert (await ann.http.ask(verb, path)).status == 401


async def test_nobody_and_those_who_take_part_cannot_be_decided_on(admin: Http, ann: Person) -> None:
    assert (await admin.post(f"/api/admin/users/{ann.id}/approve")).status == 409
    assert (await admin.post("/api/admin/users/0b56949c-62cd-4d96-aa96-f37c48d9a404/approve")).status == 404
    assert (await admin.post("/api/admin/users/nobody/approve")).status == 404


async def test_a_role_that_is_taken_away_ends_within_two_seconds(admin: Http) -> None:
    me = (await admin.get("/api/auth/me")).data["id"]
    await rows(User).update_one({"_id": me}, {"$set": {"is_admin": False}})

    async def is_over() -> bool:
        return (await admin.get("/api/admin/users")).status == 403

    await eventually(is_over, 2)


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        ({"is_banned": True}, "account_banned"),
        ({"rejected": True}, "account_rejected"),
        ({"is_approved": False}, "pending_approval"),
    ],
)
async def test_who_may_not_take_part_any_more_is_told_so_everywhere(
    ann: Person, standing: dict[str, bool], code: str
) -> None:
    await rows(User).update_one({"_id": ann.id}, {"$set": standing})

    async def is_out() -> bool:
        return (await ann.http.get("/api/auth/me")).status == 403

    await eventually(is_out, 2)
    for method, path in (
        ("GET", f"/api/users/{ann.id}"),
        ("PATCH", f"/api/users/{ann.id}/profile"),
        ("POST", "/api/messages"),
    ):
        reply = await ann.http.ask(method, path, json={} if method != "GET" else None)
        assert (reply.status, reply.code) == (403, code)
    refreshed = await post(ann.http.url, "/api/auth/refresh", {"refresh_token": ann.refresh_token})
    assert (refreshed.status, refreshed.code) == (403, code)
    assert (await log_in(ann.http.url, ann.handle, ann.password)).code == code
    assert await refusal_of(Device(ann.http.url, ann.token)) == code


async def refusal_of(device: Device) -> str:
    """Why a socket is not let in."""
    refusals: list[Any] = []
    device.sio.on("connect_error", refusals.append)
    with pytest.raises(Refused):
        await device.connect()
    return refusals[0]["data"]["code"]
