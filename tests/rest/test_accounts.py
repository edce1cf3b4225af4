"""Signing up, logging in and out, tokens and passwords, over HTTP and on live sockets."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from common.clock import now
from common.ids import new_id
from common.tokens import AccessTokens, Subject
from documents.accounts import LoginFailures, LoginSession, PasswordReset, User
from documents.rows import rows
from tests.accounts import PASSWORD, is_in, log_in, new_handle, new_person, post, said
from tests.clients import Http, Person, Reply, eventually, sign_up
from tests.conftest import SECRET, MakeSettings, Node, SignUp, StartNode


@pytest.fixture(autouse=True)
async def no_attempts_yet(plaza: Node) -> None:
    """All tests come from one address; none inherits the failures of another."""
    await rows(LoginFailures).delete_many({})


# -- becoming somebody


async def test_l01_signing_up_answers_with_the_person_and_their_tokens(plaza: Node) -> None:
    wanted = new_person()

    reply = await post(plaza.url, "/api/auth/signup", wanted)

    assert reply.status == 201
    assert reply.body["success"] is True
    assert reply.data["user"]["handle"] == reply.data["user"]["username"] == wanted["handle"]
    assert reply.data["user"]["email"] == wanted["email"]
    assert "password_hash" not in reply.data["user"]
    assert reply.data["token_type"] == "bearer"
    assert reply.data["expires_in"] == 86_400
    for name in ("access_token", "refresh_token", "token_type", "expires_in"):
        assert reply.body[name] == reply.data[name]
    assert reply.body["token"] == reply.data["access_token"]
    async with Http(plaza.url) as http:
        assert await is_in(http, reply.body["token"])


@pytest.mark.parametrize("path", ["/api/auth/register", "/api/register/"])
async def test_g01_p01_a_username_is_enough_for_the_other_apps(plaza: Node, path: str) -> None:
    username = new_handle()

    reply = await post(plaza.url, path, {"username": username, "password": PASSWORD, "is_admin": True})

    assert reply.status == 201
    assert reply.body["success"] is True
    assert reply.body["message"]
    logged_in = await log_in(plaza.url, username, PASSWORD)
    assert logged_in.data["user"]["is_admin"] is False
    assert logged_in.data["user"]["email"] is None


async def test_a_taken_address_and_a_taken_handle_get_the_same_answer(ann: Person) -> None:
    by_email = await ann.http.post("/api/auth/signup", new_person(email=ann.email.upper()))
    by_handle = await ann.http.post("/api/auth/signup", new_person(handle=ann.handle.upper()))
    by_username = await ann.http.post("/api/register", {"username": ann.handle, "password": PASSWORD})

    assert by_email.status == 409
    assert by_email.code == "account_exists"
    assert said(by_email) == said(by_handle) == said(by_username)


async def test_one_handle_has_one_owner_however_many_ask_at_once(plaza: Node) -> None:
    handle = new_handle()
    wanted = [new_person(handle=handle) for _ in range(10)]

    replies = await asyncio.gather(*(post(plaza.url, "/api/auth/signup", body) for body in wanted))

    assert sorted(reply.status for reply in replies) == [201, *[409] * 9]


# -- logging in


@pytest.mark.parametrize("name", ["email", "username", "handle", "identifier"])
async def test_l02_one_logs_in_by_any_name_in_any_case(ann: Person, name: str) -> None:
    who = ann.email if name in {"email", "identifier"} else ann.handle

    reply = await post(ann.http.url, "/api/auth/login", {name: who.upper(), "password": ann.password})

    assert reply.status == 200
    assert reply.data["user"]["id"] == ann.id
    assert reply.body["token"] == reply.body["access_token"]


async def test_p02_the_meetup_app_may_send_more_than_is_known_also_as_a_form(ann: Person) -> None:
    body = {"username": ann.handle, "password": ann.password, "device": "phone"}

    assert (await ann.http.post("/api/login/", body)).status == 200
    assert (await ann.http.ask("POST", "/api/login", data=body)).status == 200
    refused = await ann.http.post("/api/auth/login", body)
    assert refused.status == 422
    assert refused.code == "unknown_field"


@pytest.mark.parametrize("names", [{}, {"email": "a@b.cd", "username": "ann"}])
async def test_one_names_oneself_exactly_once(plaza: Node, names: dict[str, str]) -> None:
    reply = await post(plaza.url, "/api/auth/login", {**names, "password": PASSWORD})
    assert reply.status == 422


async def test_g03_the_caller_is_told_with_the_names_of_all_apps(ann: Person) -> None:
    me = (await ann.http.get("/api/auth/me/")).data

    assert me["id"] == ann.id
    assert me["username"] == me["handle"] == ann.handle
    assert me["email"] == ann.email
    assert me["name"] == "ann"
    assert me["is_admin"] is False
    assert me["is_moderator"] is False
    assert me["is_approved"] is True
    assert me["created_at"] == me["createdAt"]
    assert me["created_at"].endswith("Z")
    assert me["settings"] == {"privacy": "public", "visibility": {}, "notifications": True, "darkMode": False}
    assert me["preferred_radius"] == 10.0
    assert me["auto_invite_enabled"] is True


async def test_a_hash_of_another_cost_is_made_anew_at_the_next_log_in(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    settings = make_settings()
    person = await sign_up((await start_node(settings)).url)
    dearer = settings.model_copy(update={"accounts": settings.accounts.model_copy(update={"bcrypt_cost": 5})})
    node = await start_node(dearer)

    assert (await log_in(node.url, person.handle, person.password)).status == 200

    stored = await User.find_by("_id", person.id)
    assert stored is not None
    assert stored.password_hash.startswith("$2b$05$")
    assert (await log_in(node.url, person.handle, person.password)).status == 200


# -- logging out


async def test_l03_logging_out_closes_the_sockets_of_that_device_on_every_node(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    here, there = two_nodes
    ann = await join("ann", here.url)
    other = (await log_in(here.url, ann.handle, ann.password)).body["token"]
    sockets = [await ann.device(), await ann.device(there.url)]
    elsewhere = Person(Http(here.url, other), ann.id, ann.handle, ann.email, ann.password, other, "")
    kept = await elsewhere.device(there.url)

    reply = await ann.http.post("/api/auth/logout")

    assert reply.status == 200
    async with asyncio.timeout(2):
        await asyncio.gather(*(device.closed.wait() for device in sockets))
    assert not kept.closed.is_set()
    assert await kept.call("sync", {}) is not None
    async with Http(there.url) as http:

        async def is_out() -> bool:
            return not await is_in(http, ann.token)

        await eventually(is_out, 2)
    await elsewhere.leave()


async def test_g04_p03_logging_out_again_is_fine(ann: Person) -> None:
    for path in ("/api/auth/logout", "/api/logout/", "/api/auth/logout/"):
        assert (await ann.http.post(path)).status == 200
    assert (await ann.http.get("/api/auth/me")).code == "session_ended"


async def test_logging_out_works_with_an_expired_access_token(ann: Person) -> None:
    login_id = (await ann.http.get("/api/auth/sessions")).data[0]["id"]
    subject = Subject(ann.id, login_id, ann.handle)
    expired = AccessTokens(SECRET.encode()).issue(subject, int(time.time()) - 7200, 3600)
    async with Http(ann.http.url, expired) as http:
        assert (await http.get("/api/auth/me")).code == "token_expired"
        assert (await http.post("/api/auth/logout")).status == 200
        assert not await is_in(http, ann.token)


async def test_logging_out_works_with_a_refresh_token_alone(ann: Person) -> None:
    for _ in range(2):
        ended = await post(ann.http.url, "/api/auth/logout", {"refresh_token": ann.refresh_token})
        assert ended.status == 200
    assert not await is_in(ann.http, ann.token)


async def test_logging_out_needs_some_token_of_ones_own(ann: Person, bob: Person) -> None:
    url, path = ann.http.url, "/api/auth/logout"
    assert (await post(url, path)).status == 401
    assert (await post(url, path, headers={"Authorization": "Bearer x"})).code == "invalid_token"
    assert (await post(url, path, headers={"Authorization": "Basic x"})).status == 400
    assert (await ann.http.post("/api/logout", {"username": bob.handle})).status == 403
    assert (await ann.http.post("/api/logout", {"username": ann.handle.upper()})).status == 200


# -- refreshing


async def refresh(http: Http, token: str) -> Reply:
    return await post(http.url, "/api/auth/refresh", {"refresh_token": token})


async def test_l04_a_refresh_token_is_exchanged_for_a_new_pair(ann: Person) -> None:
    reply = await refresh(ann.http, ann.refresh_token)

    assert reply.status == 200
    assert reply.body["refresh_token"] != ann.refresh_token
    assert reply.body["access_token"] == reply.body["token"] != ann.token
    assert await is_in(ann.http, reply.body["token"])
    assert (await refresh(ann.http, reply.body["refresh_token"])).status == 200


async def test_twenty_refreshes_at_once_have_one_successor(ann: Person) -> None:
    replies = await asyncio.gather(*(refresh(ann.http, ann.refresh_token) for _ in range(20)))

    pairs = {(reply.body["access_token"], reply.body["refresh_token"]) for reply in replies}
    assert [reply.status for reply in replies] == [200] * 20
    assert len(pairs) == 1
    assert (await refresh(ann.http, pairs.pop()[1])).status == 200


async def test_a_spent_refresh_token_ends_the_whole_log_in(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(accounts={"refresh_grace": 0}))
    ann = await sign_up(node.url, "ann")
    device = await ann.device()
    second = (await refresh(ann.http, ann.refresh_token)).body
    await asyncio.sleep(0.01)

    reused = await refresh(ann.http, ann.refresh_token)

    assert reused.status == 401
    assert reused.code == "reuse_detected"
    await asyncio.wait_for(device.closed.wait(), 2)
    assert not await is_in(ann.http, second["access_token"])
    assert (await refresh(ann.http, second["refresh_token"])).code == "session_ended"
    assert (await refresh(ann.http, ann.refresh_token)).code == "reuse_detected"
    await ann.leave()


async def test_a_refresh_token_from_long_ago_is_recognised_too(ann: Person) -> None:
    token = ann.refresh_token
    for _ in range(3):
        token = (await refresh(ann.http, token)).body["refresh_token"]

    assert (await refresh(ann.http, ann.refresh_token)).code == "reuse_detected"
    assert (await refresh(ann.http, token)).status == 401


@pytest.mark.parametrize("passed", ["last_used_at", "expires_at"])
async def test_a_log_in_ends_when_it_is_idle_or_old(ann: Person, passed: str) -> None:
    long_ago = now() - timedelta(days=14, seconds=1) if passed == "last_used_at" else now()
    await rows(LoginSession).update_one({"user_id": ann.id}, {"$set": {passed: long_ago}})

    reply = await refresh(ann.http, ann.refresh_token)

    assert reply.status == 401
    assert reply.code == "session_ended"


async def test_an_access_token_does_not_outlive_its_log_in(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(accounts={"refresh_lifetime": 60}))
    reply = await post(node.url, "/api/auth/signup", new_person())
    assert reply.body["expires_in"] == 60


async def test_nothing_but_hashes_of_tokens_and_passwords_is_stored(ann: Person) -> None:
    await refresh(ann.http, ann.refresh_token)
    for kind in (User, LoginSession):
        stored = [str(raw) async for raw in rows(kind).find({})]
        text = "".join(stored)
        assert ann.refresh_token not in text
        assert ann.token not in text
        assert ann.password not in text


# -- devices


async def test_one_sees_where_one_is_logged_in_and_ends_it_from_afar(ann: Person) -> None:
    phone = await post(
        ann.http.url,
        "/api/auth/login",
        {"handle": ann.handle, "password": ann.password},
        headers={"User-Agent": "Phone/1.0 " + "x" * 500},
    )
    listed = (await ann.http.get("/api/auth/sessions")).data
    other = next(login for login in listed if not login["current"])

    assert len(listed) == 2
    assert other["device"].startswith("Phone/1.0")
    assert len(other["device"]) <= 200
    assert other["address"] == "127.0.0.1"
    for _ in range(2):
        assert (await ann.http.delete(f"/api/auth/sessions/{other['id']}")).status == 200
    assert not await is_in(ann.http, phone.body["token"])
    assert len((await ann.http.get("/api/auth/sessions")).data) == 1


async def test_nobody_ends_the_session_of_another(ann: Person, bob: Person) -> None:
    theirs = (await bob.http.get("/api/auth/sessions")).data[0]["id"]

    assert (await ann.http.delete(f"/api/auth/sessions/{theirs}")).status == 404
    assert (await ann.http.delete(f"/api/auth/sessions/{new_id()}")).status == 404
    assert (await ann.http.delete("/api/auth/sessions/nonsense")).status == 404
    assert await is_in(bob.http, bob.token)


# -- passwords


async def test_changing_the_password_ends_every_other_session(ann: Person) -> None:
    elsewhere = (await log_in(ann.http.url, ann.handle, ann.password)).body["token"]
    body = {"current_password": ann.password, "new_password": "another good one"}

    assert (await ann.http.post("/api/auth/change-password", body)).status == 200

    assert await is_in(ann.http, ann.token)
    assert not await is_in(ann.http, elsewhere)
    assert (await log_in(ann.http.url, ann.handle, ann.password)).status == 401
    assert (await log_in(ann.http.url, ann.handle, "another good one")).status == 200


async def test_changing_the_password_needs_the_current_one(ann: Person) -> None:
    body = {"current_password": "not this one", "new_password": "another good one"}
    refused = await ann.http.post("/api/auth/change-password", body)

    assert refused.status == 403
    assert refused.code == "wrong_password"
    assert (await log_in(ann.http.url, ann.handle, ann.password)).status == 200


Mails = Callable[[str], Awaitable[list[str]]]


@pytest.fixture
def mails(plaza: Node) -> Mails:
    """The texts of the mails an address has got."""
    folder: Path = plaza.services.settings.data_dir / "mail" / "new"

    async def of(address: str) -> list[str]:
        files = sorted(folder.iterdir()) if folder.exists() else []
        letters = [message_from_bytes(file.read_bytes()) for file in files]
        return [str(letter.get_payload()) for letter in letters if letter["To"] == address]

    return of


async def forget(person: Person, mails: Mails) -> str:
    """Forget one's password; the token of the mailed link."""
    before = len(await mails(person.email))
    assert (await person.http.post("/api/auth/forgot-password", {"email": person.email})).status == 200

    async def has_come() -> bool:
        return len(await mails(person.email)) > before

    await eventually(has_come)
    text = (await mails(person.email))[-1]
    found = re.search(r"^http://localhost:8001/reset-password\?token=(plp_[\w-]{43})$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


async def reset(person: Person, token: str, password: str = "a new password") -> Reply:
    return await post(person.http.url, "/api/auth/reset-password", {"token": token, "password": password})


async def test_l05_l06_a_mailed_link_gives_a_new_password_once_and_ends_all_sessions(
    ann: Person, mails: Mails
) -> None:
    device = await ann.device()
    token = await forget(ann, mails)

    replies = await asyncio.gather(*(reset(ann, token) for _ in range(5)))

    assert sorted(reply.status for reply in replies) == [200, 401, 401, 401, 401]
    await asyncio.wait_for(device.closed.wait(), 2)
    assert not await is_in(ann.http, ann.token)
    assert (await refresh(ann.http, ann.refresh_token)).status == 401
    assert (await log_in(ann.http.url, ann.email, ann.password)).status == 401
    assert (await log_in(ann.http.url, ann.email, "a new password")).status == 200


async def test_asking_for_a_link_says_nothing_about_who_has_an_account(ann: Person) -> None:
    known = await ann.http.post("/api/auth/forgot-password", {"email": ann.email})
    unknown = await ann.http.post("/api/auth/forgot-password", {"email": "nobody@example.org"})
    assert said(known) == said(unknown)


async def test_a_link_runs_out(ann: Person, mails: Mails) -> None:
    token = await forget(ann, mails)
    await rows(PasswordReset).update_one({"user_id": ann.id}, {"$set": {"expires_at": now()}})
    assert (await reset(ann, token)).code == "invalid_token"


async def test_a_changed_password_makes_older_links_worthless(ann: Person, mails: Mails) -> None:
    token = await forget(ann, mails)
    body = {"current_password": ann.password, "new_password": "another good one"}
    await ann.http.post("/api/auth/change-password", body)

    assert (await reset(ann, token)).code == "invalid_token"
    assert (await log_in(ann.http.url, ann.email, "another good one")).status == 200


async def test_nobodys_letter_box_is_flooded(ann: Person, mails: Mails, plaza: Node) -> None:
    for _ in range(12):
        assert (await ann.http.post("/api/auth/forgot-password", {"email": ann.email})).status == 200
    await forget_nobody(plaza, mails)
    assert len(await mails(ann.email)) == 5


async def forget_nobody(plaza: Node, mails: Mails) -> None:
    """Wait until everything asked for has been mailed: the mails come in order."""
    last = await sign_up(plaza.url, "last")
    await forget(last, mails)
    await last.leave()


# -- sockets


async def test_a_socket_lives_on_with_a_newer_token_of_the_same_log_in(ann: Person) -> None:
    device = await ann.device()
    newer = (await refresh(ann.http, ann.refresh_token)).body["access_token"]

    answer = await device.call("auth_refresh", {"token": newer})

    assert answer["expiresAt"].endswith("Z")


async def test_a_socket_refuses_tokens_of_others_and_of_other_log_ins(ann: Person, bob: Person) -> None:
    device = await ann.device()
    other_login = (await log_in(ann.http.url, ann.handle, ann.password)).body["token"]

    assert await device.refused("auth_refresh", {"token": bob.token}) == "wrong_account"
    assert await device.refused("auth_refresh", {"token": other_login}) == "wrong_account"
    assert await device.refused("auth_refresh", {"token": "nonsense"}) == "invalid_token"
    assert await device.refused("auth_refresh", {"token": ann.refresh_token}) == "wrong_token_type"
    assert await device.call("sync", {}) is not None
