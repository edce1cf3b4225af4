"""Leaving: absent at once, back within the grace period, and after it no trace."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from socketio.exceptions import ConnectionError as Refused

from common.clock import now
from common.ids import new_id
from documents.accounts import AdminAudit, LoginSession, User
from documents.personal import HOLDINGS, Deletion, Holding
from documents.rows import rows
from realtime.features.accounts.schemas.admin import AdminIn
from tests.accounts import PASSWORD, log_in, new_handle, post
from tests.clients import Http, Person, eventually, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode

LEAVE = "/api/account/deletion"


async def leave(person: Person) -> dict[str, Any]:
    reply = await person.http.post(LEAVE, {"password": person.password})
    assert reply.status == 200, reply.body
    return reply.data


async def way_back(person: Person) -> dict[str, Any]:
    """What logging in says to who is leaving."""
    reply = await log_in(person.http.url, person.handle, person.password)
    assert (reply.status, reply.code) == (403, "account_leaving")
    return reply.body["detail"]


async def stay(person: Person) -> None:
    token = (await way_back(person))["restore_token"]
    assert (await post(person.http.url, f"{LEAVE}/cancel", {"token": token})).status == 200
    person.token = (await log_in(person.http.url, person.handle, person.password)).body["token"]
    person.http.token = person.token


async def group_of(owner: Person, *others: Person) -> str:
    body = {"name": "club", "memberIds": [other.id for other in others]}
    return (await owner.http.post("/api/conversations", body)).data["id"]


@pytest.fixture
async def brief(start_node: StartNode, make_settings: MakeSettings) -> Node:
    """A node on which there is no time to think it over, and which looks after what others have left."""
    return await start_node(make_settings(personal={"deletion_grace": 0, "look_every": 0.1}))


# -- leaving


async def test_leaving_needs_the_password(ann: Person) -> None:
    reply = await ann.http.post(LEAVE, {"password": "not the password"})

    assert (reply.status, reply.code) == (403, "wrong_password")
    assert (await ann.http.get("/api/auth/me")).status == 200


async def test_guessing_the_password_is_slowed_down(ann: Person) -> None:
    codes = [(await ann.http.post(LEAVE, {"password": f"guess {n}"})).code for n in range(11)]

    assert codes == ["wrong_password"] * 10 + ["too_many_attempts"]


async def test_who_leaves_can_act_nowhere_within_two_seconds(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann = await join("ann", one.url)
    devices = [await ann.device(node.url) for node in two_nodes]

    async with asyncio.timeout(2):
        await leave(ann)
        for device in devices:
            await device.closed.wait()
        for node in two_nodes:
            await eventually(lambda node=node: _is_out(ann, node))

    assert (await post(other.url, "/api/auth/refresh", {"refresh_token": ann.refresh_token})).status == 401
    with pytest.raises(Refused):
        await ann.device(other.url)


async def _is_out(person: Person, node: Node) -> bool:
    return (await person.http.get(node.url + "/api/auth/me")).status == 401


async def test_who_leaves_is_absent_for_everybody(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    await leave(ann)

    assert (await bob.http.get(f"/api/users/{ann.id}")).status == 404
    assert (await bob.http.post("/api/friends/request", {"userId": ann.id})).status == 404
    assert (await bob.http.get(f"/api/users/search?q={ann.handle}")).data == []
    assert (await bob.http.get(f"/api/friends/{bob.id}")).data == []


async def test_friends_and_members_are_told(ann: Person, bob: Person, cyd: Person) -> None:
    await ann.befriend(bob)
    await (await ann.device()).send("hello", to=bob.id)
    group = await group_of(ann, cyd)
    bobs, cyds = await bob.device(), await cyd.device()

    await leave(ann)

    await bobs.wait_for("friend_removed", lambda said: said["userId"] == ann.id)
    told = await bobs.wait_for("conversation_updated", lambda said: said["change"] == "account_left")
    assert (told["userId"], told["kind"]) == (ann.id, "direct")
    told = await cyds.wait_for("conversation_updated", lambda said: said["change"] == "account_left")
    assert (told["userId"], told["conversationId"]) == (ann.id, group)


async def test_asking_twice_at_once_is_asking_once(ann: Person) -> None:
    replies = await asyncio.gather(*(ann.http.post(LEAVE, {"password": ann.password}) for _ in range(8)))

    dates = {reply.data["deletesAt"] for reply in replies if reply.status == 200}
    assert len(dates) == 1
    assert {reply.status for reply in replies} <= {200, 401, 403}
    assert await rows(Deletion).count_documents({"user_id": ann.id}) == 1


async def test_a_log_in_that_crosses_the_leaving_ends_with_it(plaza: Node, join: SignUp) -> None:
    for _ in range(3):
        ann = await join("ann")
        logins = asyncio.gather(*(log_in(plaza.url, ann.handle, ann.password) for _ in range(4)))
        await leave(ann)

        for reply in await logins:
            if reply.status == 200:
                async with Http(plaza.url, reply.body["token"]) as http:
                    assert (await http.get("/api/auth/me")).status in (401, 403)
        await eventually(lambda ann=ann: _is_logged_in_nowhere(ann))


async def _is_logged_in_nowhere(person: Person) -> bool:
    return await rows(LoginSession).count_documents({"user_id": person.id, "revoked_at": None}) == 0


# -- staying


async def test_who_stays_has_everything_back(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    group = await group_of(ann, bob)
    bobs = await bob.device()
    await leave(ann)
    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "account_left")

    await stay(ann)

    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "account_back")
    await bobs.wait_for("friend_accepted", lambda said: said["userId"] == ann.id)
    friends = (await bob.http.get(f"/api/friends/{bob.id}")).data
    assert [friend["user"]["id"] for friend in friends] == [ann.id]
    assert (await ann.http.get(f"/api/conversations/{group}")).data["role"] == "owner"
    await eventually(lambda: _is_forgotten(ann))


async def _is_forgotten(person: Person) -> bool:
    return await rows(Deletion).count_documents({"user_id": person.id}) == 0


async def test_a_way_back_works_once_and_only_out_of_its_own_deletion(ann: Person) -> None:
    await leave(ann)
    token = (await way_back(ann))["restore_token"]
    await stay(ann)
    url = ann.http.url

    assert (await post(url, f"{LEAVE}/cancel", {"token": token})).code == "invalid_token"
    await leave(ann)
    assert (await post(url, f"{LEAVE}/cancel", {"token": token})).code == "invalid_token"
    assert (await post(url, f"{LEAVE}/cancel", {"token": token[:-1] + "x"})).code == "invalid_token"
    await stay(ann)


async def test_the_wrong_password_learns_nothing_of_a_deletion(ann: Person) -> None:
    await leave(ann)
    reply = await log_in(ann.http.url, ann.handle, "not the password")
    assert reply.code == "invalid_credentials"


async def test_a_name_is_taken_until_its_account_is_erased(ann: Person) -> None:
    await leave(ann)
    body = {"email": ann.email, "password": PASSWORD, "name": "Other", "handle": ann.handle}
    assert (await post(ann.http.url, "/api/auth/signup", body)).code == "account_exists"


# -- being erased


async def test_after_the_grace_period_the_account_is_gone_and_its_name_free(
    brief: Node, join: SignUp
) -> None:
    ann = await join("ann", brief.url)
    await leave(ann)
    await eventually(lambda: _is_forgotten(ann))

    assert (await log_in(brief.url, ann.handle, ann.password)).code == "invalid_credentials"
    assert await rows(User).find_one({"_id": ann.id}) is None
    body = {"email": ann.email, "password": PASSWORD, "name": "Other", "handle": ann.handle}
    assert (await post(brief.url, "/api/auth/signup", body)).status == 201


async def test_what_somebody_said_is_gone_and_the_order_stands(
    brief: Node, start_node: StartNode, make_settings: MakeSettings, join: SignUp
) -> None:
    ann, bob = await join("ann", brief.url), await join("bob", brief.url)
    anns, bobs = await ann.device(), await bob.device()
    said = [
        await device.send(f"{n}", to=to.id) for n in range(3) for device, to in ((anns, bob), (bobs, ann))
    ]
    await bobs.call("react_message", {"messageId": said[0]["id"], "emoji": "👍", "on": True})
    await anns.call("react_message", {"messageId": said[1]["id"], "emoji": "👍", "on": True})

    await leave(ann)
    await eventually(lambda: _is_forgotten(ann))

    conversation = said[0]["conversationId"]
    fresh = await start_node(make_settings())  # one that remembers nothing of what was
    history = (await bob.http.get(f"{fresh.url}/api/conversations/{conversation}/messages")).data
    shown = {message["seq"]: message for message in history}
    assert sorted(shown) == [1, 2, 3, 4, 5, 6]
    for seq in (1, 3, 5):
        assert (shown[seq]["text"], bool(shown[seq]["deletedAt"]), shown[seq]["reactions"]) == ("", True, {})
        assert shown[seq]["from"] != ann.id
    assert [shown[seq]["text"] for seq in (2, 4, 6)] == ["0", "1", "2"]
    assert shown[2]["reactions"] == {}
    members = (await bob.http.get(f"{fresh.url}/api/conversations/{conversation}")).data["members"]
    assert {(one["userId"], one["name"]) for one in members} == {
        (bob.id, "bob"),
        (shown[1]["from"], "Deleted account"),
    }
    device = await bob.device(fresh.url)
    late = {"conversationId": conversation, "text": "?", "clientId": new_key()}
    assert await device.refused("send_message", late) == "not_found"


async def test_the_groups_of_who_is_erased_get_another_owner(brief: Node, join: SignUp) -> None:
    ann, bob = await join("ann", brief.url), await join("bob", brief.url)
    group = await group_of(ann, bob)
    bobs = await bob.device()

    await leave(ann)

    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "account_erased")
    await bobs.wait_for("conversation_updated", lambda said: said["change"] == "member_removed")
    await eventually(lambda: _is_forgotten(ann))
    shown = (await bob.http.get(f"/api/conversations/{group}")).data
    assert [(one["userId"], one["role"]) for one in shown["members"]] == [(bob.id, "owner")]


async def test_nobody_comes_back_once_erasing_has_begun(ann: Person) -> None:
    await leave(ann)
    token = (await way_back(ann))["restore_token"]
    await rows(Deletion).update_one({"user_id": ann.id}, {"$set": {"stage": "erasing"}})

    assert (await post(ann.http.url, f"{LEAVE}/cancel", {"token": token})).code == "invalid_token"


async def test_another_node_goes_on_when_one_dies_while_it_erases(brief: Node, ann: Person) -> None:
    begun = Deletion(
        user_id=ann.id,
        by=ann.id,
        stage="erasing",
        deletes_at=now(),
        lease=new_id(),
        leased_until=now() + timedelta(seconds=1),
    )

    assert isinstance(await Deletion.ask(begun), Deletion)

    await eventually(lambda: _is_forgotten(ann))
    assert await rows(User).find_one({"_id": ann.id}) is None


async def test_an_account_is_erased_for_good_whatever_step_fails_first(
    brief: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One kind of document in five fails once: what follows is done by the next attempt."""
    left = list(HOLDINGS[::5])
    erase = Holding.erase

    async def failing(self: Holding, person: Any, *, last: bool) -> None:
        if person.id == ann.id and self in left:
            left.remove(self)
            raise ConnectionError("as if the database had gone")
        await erase(self, person, last=last)

    monkeypatch.setattr(Holding, "erase", failing)
    asked = Deletion(user_id=ann.id, by=ann.id, deletes_at=now())

    assert isinstance(await Deletion.ask(asked), Deletion)

    await eventually(lambda: _is_forgotten(ann), seconds=30)
    assert left == []
    assert await rows(User).find_one({"_id": ann.id}) is None


# -- who administers


@pytest.fixture
async def admins(plaza: Node) -> AsyncIterator[list[Http]]:
    """Two administrators, and nobody else who is one."""
    others = [raw["_id"] for raw in await rows(User).find({"is_admin": True}, {"_id": 1}).to_list()]
    await rows(User).update_many({"_id": {"$in": others}}, {"$set": {"is_admin": False}})
    names = [new_handle("root") for _ in range(2)]
    made = [
        await plaza.services.accounts.create_admin(AdminIn(username=name, password=PASSWORD))
        for name in names
    ]
    tokens = [(await log_in(plaza.url, name, PASSWORD)).body["token"] for name in names]
    async with Http(plaza.url, tokens[0]) as one, Http(plaza.url, tokens[1]) as other:
        yield [one, other]
    await rows(User).update_many({"_id": {"$in": [user.id for user in made]}}, {"$set": {"is_admin": False}})
    await rows(User).update_many({"_id": {"$in": others}}, {"$set": {"is_admin": True}})


async def test_of_the_last_two_administrators_one_stays(admins: list[Http]) -> None:
    replies = await asyncio.gather(*(admin.post(LEAVE, {"password": PASSWORD}) for admin in admins))

    assert sorted(reply.status for reply in replies) == [200, 409]
    (refused,) = [reply for reply in replies if reply.status == 409]
    assert refused.code == "last_admin"
    (left,) = [admin for admin, reply in zip(admins, replies, strict=True) if reply.status == 409]
    assert (await left.post(LEAVE, {"password": PASSWORD})).code == "last_admin"
    assert (await left.get("/api/auth/me")).data["is_admin"] is True


async def test_what_an_administrator_ends_only_an_administrator_takes_back(plaza: Node, ann: Person) -> None:
    deletions = plaza.services.personal.deletions
    await deletions.request_deletion(ann.id, by="cli", at_once=False)

    assert (await way_back(ann))["restore_token"] is None
    assert await _audited(ann) == ["user_delete"]

    await deletions.restore(ann.id, by="cli")
    assert (await log_in(plaza.url, ann.handle, ann.password)).status == 200
    assert await _audited(ann) == ["user_delete", "user_restore"]


async def _audited(person: Person) -> list[str]:
    found = rows(AdminAudit).find({"target": person.id}).sort("seq", 1)
    return [row["action"] async for row in found]


async def test_an_administrator_cuts_the_grace_period_short(brief: Node, ann: Person) -> None:
    await leave(ann)

    await brief.services.personal.deletions.request_deletion(ann.id, by="cli", at_once=True)

    await eventually(lambda: _is_forgotten(ann))
    assert (await log_in(brief.url, ann.handle, ann.password)).code == "invalid_credentials"
