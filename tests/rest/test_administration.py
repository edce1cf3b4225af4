"""What administrators set of people, that one of them always stays, and the log of it that seals itself."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from documents.accounts import AdminAudit, AuditHead, User
from documents.accounts.administration import listing
from documents.accounts.standing import active
from documents.rows import rows
from tests.accounts import log_in, post
from tests.clients import Http, Person, eventually
from tests.conftest import Node, SignUp
from tests.staff import act, new_admin, put

NOBODY = "0b56949c-62cd-4d96-aa96-f37c48d9a404"


@pytest.fixture
async def admin(plaza: Node) -> AsyncIterator[Person]:
    admin = await new_admin(plaza)
    yield admin
    await admin.leave()


@pytest.fixture
async def last_two(plaza: Node) -> AsyncIterator[tuple[Person, Person]]:
    """Two administrators, and nobody else who is one."""
    others = [raw["_id"] for raw in await rows(User).find({"is_admin": True}, {"_id": 1}).to_list()]
    await rows(User).update_many({"_id": {"$in": others}}, {"$set": {"is_admin": False}})
    two = await new_admin(plaza), await new_admin(plaza)
    yield two
    for one in two:
        await one.leave()
    await rows(User).update_many({"_id": {"$in": others}}, {"$set": {"is_admin": True}})


async def noted(target: str) -> list[tuple[str, Any]]:
    """What the log says was done to somebody, in order."""
    found = rows(AdminAudit).find({"target": target}).sort("seq", 1)
    return [(row["action"], row["detail"]) async for row in found]


# -- the log


async def test_many_who_write_at_once_wait_for_each_other_once(ann: Person) -> None:
    begun = 0

    async def work(turn: Any) -> None:
        nonlocal begun
        begun += 1
        await turn.note("cli", "tried", ann.id)

    await asyncio.gather(*(AdminAudit.turn(work) for _ in range(40)))

    assert (begun, len(await noted(ann.id))) == (40, 40)
    assert (await AdminAudit.verify()).trouble is None


# -- finding


@pytest.fixture
async def crowd(plaza: Node) -> AsyncIterator[None]:
    """Many more people, of whom nothing is to be said."""
    names = [f"crowd{uuid.uuid4().hex}" for _ in range(500)]
    people = [
        User(name=name, handle=name, handle_key=name, handle_skeleton=name, password_hash="")
        for name in names
    ]
    await rows(User).insert_many([user.model_dump(by_alias=True) for user in people])
    yield
    await rows(User).delete_many({"handle_key": {"$in": names}})


@pytest.mark.parametrize("kind", ["banned", "muted", "limited", "leaving", "staff"])
async def test_the_few_are_not_looked_for_among_all(crowd: None, kind: Any) -> None:
    cursor = rows(User).find(listing(kind, None, None)).sort([("created_at", -1), ("_id", -1)]).limit(20)
    stats = (await cursor.explain())["executionStats"]
    assert stats["totalDocsExamined"] <= stats["nReturned"] + 100, stats


async def test_whether_somebody_else_administers_is_not_asked_of_all(crowd: None) -> None:
    stats = (await rows(User).find({"is_admin": True, **active()}).limit(1).explain())["executionStats"]
    assert stats["totalDocsExamined"] <= 100, stats


# -- setting


async def test_what_is_named_is_set_and_noted_once(admin: Person, ann: Person) -> None:
    changed = await put(admin, ann.id, is_certified=True, is_moderator=True)
    again = await put(admin, ann.id, is_certified=True)

    assert changed.status == again.status == 200
    assert (again.data["is_certified"], again.data["is_moderator"], again.data["is_admin"]) == (
        True,
        True,
        False,
    )
    changes = {"is_certified": [False, True], "is_moderator": [False, True]}
    assert await noted(ann.id) == [("user_changed", {"changes": changes})]
    (row,) = (await admin.http.get("/api/admin/audit", params={"target": ann.id})).data
    assert row["requestId"] == changed.headers["X-Request-Id"]
    assert (await ann.http.get("/api/admin/reports")).status == 200
    assert (await admin.http.get(f"/api/admin/users/{ann.id}")).data == again.data


async def test_nothing_else_can_be_set(admin: Person, ann: Person) -> None:
    bodies: list[tuple[Any, str]] = [
        ({}, "invalid_payload"),
        ({"is_admin": None}, "invalid_payload"),
        ({"is_admin": {"$ne": False}}, "invalid_payload"),
        ({"is_banned": True}, "unknown_field"),
        ({"vibe_score": 9000}, "unknown_field"),
        ({"password_hash": "x"}, "unknown_field"),
    ]
    for body, code in bodies:
        reply = await admin.http.ask("PUT", f"/api/admin/users/{ann.id}", json=body)
        assert (reply.status, reply.code) == (422, code), body
    assert await noted(ann.id) == []


async def test_an_approval_that_is_taken_back_ends_every_session(admin: Person, ann: Person) -> None:
    device = await ann.device()

    assert (await put(admin, ann.id, is_approved=False)).data["standing"] == "pending"

    await asyncio.wait_for(device.closed.wait(), 5)
    assert (await ann.http.get("/api/auth/me")).code == "pending_approval"
    assert (await log_in(ann.http.url, ann.handle, ann.password)).code == "pending_approval"
    assert (await put(admin, ann.id, is_approved=True)).data["standing"] == "active"
    assert (await log_in(ann.http.url, ann.handle, ann.password)).status == 200


async def test_a_rejection_is_taken_back_by_approving(admin: Person, ann: Person) -> None:
    await rows(User).update_one({"_id": ann.id}, {"$set": {"is_approved": False}})
    assert (await admin.http.post(f"/api/admin/users/{ann.id}/reject")).status == 200

    assert (await put(admin, ann.id, is_approved=True)).data["rejected"] is False
    assert (await log_in(ann.http.url, ann.handle, ann.password)).status == 200


async def test_roles_are_not_for_the_restricted_nor_restrictions_for_roles(
    admin: Person, ann: Person
) -> None:
    mute = await act(admin, ann.id, "mute")
    assert (await put(admin, ann.id, is_moderator=True)).code == "restricted"
    await admin.http.post(f"/api/admin/actions/{mute['id']}/reverse", {})
    assert (await put(admin, ann.id, is_moderator=True)).status == 200

    banned = await admin.http.post(f"/api/admin/users/{ann.id}/actions", {"action": "ban", "reason": "x"})
    own = await admin.http.post(f"/api/admin/users/{admin.id}/actions", {"action": "ban", "reason": "x"})

    for reply in (banned, own):
        assert (reply.status, reply.code) == (409, "staff_protected")


async def test_of_a_role_and_a_ban_at_once_one_comes_about(admin: Person, join: SignUp) -> None:
    for person in [await join("p") for _ in range(5)]:
        ban = {"action": "ban", "reason": "x"}
        role, banned = await asyncio.gather(
            put(admin, person.id, is_moderator=True),
            admin.http.post(f"/api/admin/users/{person.id}/actions", ban),
        )
        assert sorted((role.status, banned.status)) in ([200, 409], [201, 409])
        shown = (await admin.http.get(f"/api/admin/users/{person.id}")).data
        assert shown["is_moderator"] != shown["is_banned"]


async def test_an_account_is_deleted_by_an_administrator(admin: Person, ann: Person, bob: Person) -> None:
    device = await ann.device()

    deleted = await admin.http.delete(f"/api/admin/users/{ann.id}")

    assert (deleted.status, deleted.data["standing"]) == (200, "leaving")
    await asyncio.wait_for(device.closed.wait(), 5)
    assert (await bob.http.get(f"/api/users/{ann.id}")).status == 404
    assert [action for action, _ in await noted(ann.id)] == ["user_delete"]
    listed = await admin.http.get("/api/admin/users", params={"standing": "leaving", "q": ann.handle})
    assert [one["id"] for one in listed.data] == [ann.id]


async def test_who_is_not_there_cannot_be_changed(admin: Person) -> None:
    assert (await put(admin, NOBODY, is_certified=True)).status == 404
    assert (await put(admin, "nobody", is_certified=True)).status == 404
    assert (await admin.http.delete(f"/api/admin/users/{NOBODY}")).status == 404
    assert (await admin.http.get(f"/api/admin/users/{NOBODY}")).status == 404


async def test_accounts_are_found_by_standing_and_by_how_their_names_begin(
    admin: Person, ann: Person, bob: Person
) -> None:
    await act(admin, ann.id, "ban", durationSeconds=3600)
    await act(admin, bob.id, "mute")

    async def found(**query: str) -> list[str]:
        page = await admin.http.get("/api/admin/users", params={"limit": 100, **query})
        assert page.status == 200, page.body
        return [one["id"] for one in page.data]

    assert await found(standing="banned", q=ann.handle) == [ann.id]
    assert await found(standing="active", q=ann.handle) == []
    assert await found(standing="muted", q=bob.handle.upper()[:8]) == [bob.id]
    assert await found(standing="staff", q=admin.handle) == [admin.id]
    assert await found(q=ann.email) == [ann.id]
    assert await found(q=bob.id) == [bob.id]
    assert await found(q=".*") == []
    assert (await admin.http.get("/api/admin/users", params={"standing": "strange"})).status == 422


ADMINS_ROUTES = [
    "GET /api/admin/users",
    "GET /api/admin/users/{}",
    "PUT /api/admin/users/{}",
    "DELETE /api/admin/users/{}",
    "GET /api/admin/users/pending",
    "POST /api/admin/users/{}/approve",
    "POST /api/admin/users/{}/reject",
    "GET /api/admin/audit",
]


async def test_moderators_do_not_administer(admin: Person, ann: Person, bob: Person) -> None:
    await put(admin, ann.id, is_moderator=True)

    for route in ADMINS_ROUTES:
        method, path = route.format(ann.id).split(" ")
        body = {"is_admin": True} if method == "PUT" else None
        for who in (ann, bob):
            reply = await who.http.ask(method, path, json=body)
            assert (reply.status, reply.code) == (403, "admin_only"), route
    assert (await admin.http.get(f"/api/admin/users/{ann.id}")).data["is_admin"] is False


async def test_a_role_works_and_is_gone_on_every_node_soon_after_it_was_taken(
    admin: Person, ann: Person, two_nodes: tuple[Node, Node]
) -> None:
    elsewhere = Http(two_nodes[1].url, ann.token)
    for fields, path in (
        ({"is_admin": True}, "/api/admin/users"),
        ({"is_moderator": True}, "/api/admin/reports"),
    ):
        assert (await elsewhere.get(path)).status == 403
        await put(admin, ann.id, **fields)

        async def is_in(path: str = path) -> bool:
            return (await elsewhere.get(path)).status == 200

        async def is_out(path: str = path) -> bool:
            return (await elsewhere.get(path)).status == 403

        await eventually(is_in)
        await put(admin, ann.id, **dict.fromkeys(fields, False))
        assert (await ann.http.get(path)).status == 403
        await eventually(is_out)
    await elsewhere.__aexit__()


# -- somebody stays who administers


async def test_two_administrators_who_demote_each_other_leave_one(
    last_two: tuple[Person, Person],
) -> None:
    one, other = last_two
    for _ in range(3):
        replies = await asyncio.gather(
            put(one, other.id, is_admin=False),
            put(other, one.id, is_admin=False),
            put(one, one.id, is_admin=False),
        )
        left = await rows(User).find({"is_admin": True}).to_list()
        assert len(left) == 1
        assert sorted(reply.status for reply in replies)[0] == 200
        assert {reply.code for reply in replies if reply.status != 200} <= {"last_admin", "admin_only"}
        stays = one if left[0]["_id"] == one.id else other
        gone = other if stays is one else one
        assert (await put(stays, gone.id, is_admin=True)).status == 200


async def test_the_last_administrator_cannot_go_in_any_way(last_two: tuple[Person, Person]) -> None:
    one, other = last_two
    assert (await put(one, other.id, is_admin=False)).status == 200

    for reply in (
        await put(one, one.id, is_admin=False),
        await put(one, one.id, is_approved=False),
        await one.http.delete(f"/api/admin/users/{one.id}"),
    ):
        assert (reply.status, reply.code) == (409, "last_admin")
    banned = await one.http.post(f"/api/admin/users/{one.id}/actions", {"action": "ban", "reason": "x"})
    assert banned.code == "staff_protected"
    assert (await one.http.get("/api/admin/users")).status == 200


# -- the log


async def test_the_log_is_filtered_and_paged(admin: Person, ann: Person, bob: Person) -> None:
    for _ in range(3):
        await put(admin, ann.id, is_certified=True)
        await put(admin, ann.id, is_certified=False)
    await act(admin, bob.id, "warn")

    async def walk(**query: str) -> list[Any]:
        found: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await admin.http.get("/api/admin/audit", params={"limit": "2", **query, **cursor})
            assert page.status == 200, page.body
            found += page.data
            if page.body["pagination"]["next_cursor"] is None:
                return found
            cursor = {"cursor": page.body["pagination"]["next_cursor"]}

    mine = await walk(actor=admin.id)
    assert [row["action"] for row in mine] == ["person_warned"] + ["user_changed"] * 6
    assert [row["seq"] for row in mine] == sorted((row["seq"] for row in mine), reverse=True)
    assert {row["target"] for row in await walk(target=ann.id)} == {ann.id}
    assert len(await walk(actor=admin.id, action="person_warned")) == 1
    third = mine[3]["at"]
    assert await walk(actor=admin.id, since=third) == mine[:4]
    assert await walk(actor=admin.id, until=third) == mine[4:]
    for query in ({"action": "$ne"}, {"target": "x"}, {"since": "yesterday"}, {"cursor": "xxxx"}):
        assert (await admin.http.get("/api/admin/audit", params=query)).status == 422


async def test_the_chain_holds_whoever_writes_at_once(plaza: Node, admin: Person, join: SignUp) -> None:
    people = [await join("p") for _ in range(10)]

    await asyncio.gather(*(put(admin, one.id, is_certified=True) for one in people))

    chain = await plaza.services.accounts.audit.verify()
    head = await rows(AuditHead).find_one({})
    assert head is not None
    assert (chain.trouble, chain.length, chain.hash) == (None, head["seq"], head["hash"])
    assert await rows(AdminAudit).count_documents({}) == chain.length


@pytest.mark.parametrize("deed", ["change", "remove", "remove the last", "slip in"])
async def test_whoever_changes_the_log_is_found_out(
    plaza: Node, admin: Person, ann: Person, deed: str
) -> None:
    for flag in (True, False, True):
        await put(admin, ann.id, is_certified=flag)
    log = rows(AdminAudit)
    before = await log.find({}).sort("seq", -1).limit(3).to_list()
    victim = before[0] if deed == "remove the last" else before[1]
    if deed == "change":
        await log.update_one({"_id": victim["_id"]}, {"$set": {"actor": ann.id}})
    elif deed == "slip in":
        await log.insert_one({**victim, "_id": NOBODY, "seq": None})
    else:
        await log.delete_one({"_id": victim["_id"]})

    trouble = (await plaza.services.accounts.audit.verify()).trouble

    await log.delete_one({"_id": NOBODY})
    await log.replace_one({"_id": victim["_id"]}, victim, upsert=True)
    assert trouble is not None
    assert (await plaza.services.accounts.audit.verify()).trouble is None


async def test_a_stranger_learns_nothing_of_the_log(ann: Person) -> None:
    assert (await ann.http.get("/api/admin/audit")).code == "admin_only"
    assert (await post(ann.http.url, "/api/admin/audit")).status == 405
