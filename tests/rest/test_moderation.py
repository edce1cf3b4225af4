"""Reports: who may report what, what is kept of it, and what moderators decide."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from documents.accounts import AdminAudit
from documents.moderation import Case, Report
from documents.rows import rows
from tests.clients import Http, Person, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.staff import act, case_about, new_admin, put, report

NOBODY = "0b56949c-62cd-4d96-aa96-f37c48d9a404"


@pytest.fixture
async def admin(plaza: Node) -> AsyncIterator[Person]:
    admin = await new_admin(plaza)
    yield admin
    await admin.leave()


@pytest.fixture
async def moderator(admin: Person, join: SignUp) -> Person:
    """Somebody whom an administrator has given the role."""
    person = await join("mod")
    assert (await put(admin, person.id, is_moderator=True)).data["is_moderator"] is True
    return person


async def said(sender: Person, to: Person, text: str) -> str:
    """A message; its id."""
    body = {"to": to.id, "text": text, "clientId": new_key()}
    return (await sender.http.post("/api/messages", body)).data["id"]


# -- reporting


async def test_a_message_is_reported_with_what_was_said_around_it(
    ann: Person, bob: Person, moderator: Person
) -> None:
    for text in ("hello", "what do you want"):
        await said(bob, ann, text)
    bad = await said(bob, ann, "an insult")
    await said(ann, bob, "stop it")

    made = await report(ann, "message", bad, text="he did it again")

    assert made["status"] == "open"
    case = await case_about(moderator, bad)
    assert (case["subjectId"], case["reporters"], case["reasons"]) == (bob.id, 1, {"harassment": 1})
    shown = (await moderator.http.get(f"/api/admin/reports/{case['id']}")).data
    (kept,) = shown["reports"]
    assert (kept["reporterId"], kept["text"]) == (ann.id, "he did it again")
    assert kept["evidence"]["message"]["text"] == "an insult"
    assert [one["text"] for one in kept["evidence"]["before"]] == ["hello", "what do you want"]
    assert [one["text"] for one in kept["evidence"]["after"]] == ["stop it"]
    assert shown["subject"]["handle"] == bob.handle


async def test_evidence_stays_when_the_message_is_edited_and_deleted(
    ann: Person, bob: Person, moderator: Person
) -> None:
    bad = await said(bob, ann, "an insult")
    await report(ann, "message", bad)
    edit = {"messageId": bad, "text": "a compliment"}
    assert (await bob.http.patch(f"/api/messages/{bad}", edit)).status == 200
    assert (await bob.http.delete(f"/api/messages/{bad}")).status == 200

    case = await case_about(moderator, bad)
    shown = (await moderator.http.get(f"/api/admin/reports/{case['id']}")).data

    assert shown["reports"][0]["evidence"]["message"]["text"] == "an insult"


async def test_a_person_is_reported_as_their_profile_was(ann: Person, bob: Person, moderator: Person) -> None:
    await bob.http.patch(f"/api/users/{bob.id}/profile", {"bio": "an advertisement"})
    await report(ann, "user", bob.id, reason="spam")
    await bob.http.patch(f"/api/users/{bob.id}/profile", {"bio": ""})

    case = await case_about(moderator, bob.id)

    shown = (await moderator.http.get(f"/api/admin/reports/{case['id']}")).data
    assert shown["reports"][0]["evidence"]["profile"]["bio"] == "an advertisement"


async def test_who_was_blocked_can_be_reported_and_blocking_does_not_protect_messages(
    ann: Person, bob: Person
) -> None:
    bad = await said(bob, ann, "an insult")
    await ann.http.post("/api/friends/block", {"userId": bob.id})
    await report(ann, "user", bob.id)
    await ann.http.post("/api/friends/unblock", {"userId": bob.id})
    await bob.http.post("/api/friends/block", {"userId": ann.id})

    absent = await ann.http.post("/api/reports", {"targetType": "user", "targetId": bob.id, "reason": "spam"})

    assert absent.status == 201  # the open report from before
    assert (await report(ann, "message", bad))["status"] == "open"


async def test_what_one_cannot_see_cannot_be_reported(ann: Person, bob: Person, cyd: Person) -> None:
    private = await said(bob, ann, "between us")
    gone = await said(bob, ann, "gone")
    await bob.http.delete(f"/api/messages/{gone}")
    await bob.http.post("/api/friends/block", {"userId": cyd.id})

    for who, kind, target in (
        (cyd, "message", private),
        (ann, "message", gone),
        (cyd, "user", bob.id),
        (ann, "message", NOBODY),
        (ann, "user", NOBODY),
    ):
        body = {"targetType": kind, "targetId": target, "reason": "spam"}
        reply = await who.http.post("/api/reports", body)
        assert (reply.status, reply.code) == (404, "not_found"), (kind, target)


async def test_a_report_says_what_and_why(ann: Person, bob: Person) -> None:
    good = {"targetType": "user", "targetId": bob.id, "reason": "spam"}
    for fields, field in (
        ({"targetType": "planet"}, "targetType"),
        ({"targetType": {"$ne": None}}, "targetType"),
        ({"targetId": "../x"}, "targetId"),
        ({"reason": "dislike"}, "reason"),
        ({"reason": "other"}, "body"),
        ({"text": "x" * 1001}, "text"),
        ({"text": "a\u202eb"}, "text"),
        ({"reporter": NOBODY}, "reporter"),
    ):
        reply = await ann.http.post("/api/reports", {**good, **fields})
        assert reply.status == 422, fields
        assert field in {error["field"] for error in reply.body["errors"]}, fields


async def test_nobody_reports_themselves(ann: Person, bob: Person) -> None:
    own = await said(ann, bob, "mine")
    for kind, target in (("user", ann.id), ("message", own)):
        body = {"targetType": kind, "targetId": target, "reason": "spam"}
        assert (await ann.http.post("/api/reports", body)).status in (404, 422)


async def test_a_repeated_report_is_the_first_one_however_often_at_once(
    two_nodes: tuple[Node, Node], ann: Person, bob: Person, cyd: Person, moderator: Person
) -> None:
    body = {"targetType": "user", "targetId": bob.id, "reason": "spam"}
    doors = [f"{node.url}/api/reports" for node in two_nodes]

    made = await asyncio.gather(
        *(who.http.post(door, body) for who in (ann, cyd) for door in doors for _ in range(10))
    )

    assert {reply.status for reply in made} == {201}
    assert len({reply.data["id"] for reply in made}) == 2
    assert await rows(Report).count_documents({"target_id": bob.id}) == 2
    assert await rows(Case).count_documents({"target_id": bob.id}) == 1
    assert (await case_about(moderator, bob.id))["reporters"] == 2


async def test_a_person_reports_only_so_much_in_a_day(
    start_node: StartNode, make_settings: MakeSettings, join: SignUp
) -> None:
    node = await start_node(make_settings(moderation={"reports_per_day": 3}))
    ann = await join("ann", node.url)
    others = [await join("x", node.url) for _ in range(6)]
    bodies = [{"targetType": "user", "targetId": one.id, "reason": "spam"} for one in others]

    replies = await asyncio.gather(*(ann.http.post("/api/reports", body) for body in bodies))
    again = await asyncio.gather(*(ann.http.post("/api/reports", body) for body in bodies))

    for round_ in (replies, again):
        assert sorted(reply.status for reply in round_) == [201] * 3 + [429] * 3
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.code == "too_many_reports"
    assert int(refused.headers["Retry-After"]) <= 86_400
    assert await rows(Report).count_documents({"reporter": ann.id}) == 3


async def test_reporters_see_what_became_of_their_reports_and_no_more(
    ann: Person, bob: Person, cyd: Person, moderator: Person
) -> None:
    first, second = await report(ann, "user", bob.id), await report(ann, "user", cyd.id)
    for target, path, body in (
        (bob.id, "resolve", {"action": "warn", "note": "inner matters"}),
        (cyd.id, "dismiss", {}),
    ):
        case = await case_about(moderator, target)
        assert (await moderator.http.post(f"/api/admin/reports/{case['id']}/{path}", body)).status == 200

    page = await ann.http.get("/api/reports", params={"limit": 1})
    cursor = page.body["pagination"]["next_cursor"]
    rest = await ann.http.get("/api/reports", params={"limit": 1, "cursor": cursor})

    assert [page.data[0]["id"], rest.data[0]["id"]] == [second["id"], first["id"]]
    assert [page.data[0]["status"], rest.data[0]["status"]] == ["dismissed", "resolved"]
    assert "inner matters" not in str(rest.body)
    assert "warn" not in str(rest.body)
    assert page.body["pagination"]["total"] == 2
    assert (await bob.http.get("/api/reports", params={"cursor": cursor})).code == "bad_cursor"


async def test_after_a_decision_the_same_can_be_reported_again(
    ann: Person, bob: Person, moderator: Person
) -> None:
    first = await report(ann, "user", bob.id)
    case = await case_about(moderator, bob.id)
    await moderator.http.post(f"/api/admin/reports/{case['id']}/dismiss", {})

    second = await report(ann, "user", bob.id)

    assert second["id"] != first["id"]
    again = await case_about(moderator, bob.id)
    shown = (await moderator.http.get(f"/api/admin/reports/{again['id']}")).data
    assert [one["id"] for one in shown["earlier"]] == [case["id"]]


# -- the queue


async def test_the_queue_is_filtered_sorted_and_paged_without_gaps(
    join: SignUp, ann: Person, bob: Person, moderator: Person
) -> None:
    targets = [await join("t") for _ in range(4)]
    for target in targets:
        await report(ann, "user", target.id, reason="self_harm")
    await report(bob, "user", targets[2].id, reason="self_harm")
    mine = {target.id for target in targets}

    async def walk(**query: str) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            params = {"reason": "self_harm", "type": "user", "limit": "1", **query, **cursor}
            page = await moderator.http.get("/api/admin/reports", params=params)
            assert page.status == 200, page.body
            found += [case["targetId"] for case in page.data]
            if page.body["pagination"]["next_cursor"] is None:
                return [one for one in found if one in mine]
            cursor = {"cursor": page.body["pagination"]["next_cursor"]}

    assert await walk() == [target.id for target in targets]
    assert (await walk(sort="reporters"))[0] == targets[2].id
    assert await walk(type="message") == []
    assert await walk(status="resolved") == []
    reply = await moderator.http.get("/api/admin/reports", params={"reason": "$where"})
    assert reply.status == 422


async def test_a_claimed_case_is_decided_on_by_nobody_else(
    ann: Person, bob: Person, admin: Person, moderator: Person
) -> None:
    await report(ann, "user", bob.id)
    path = f"/api/admin/reports/{(await case_about(moderator, bob.id))['id']}"

    claimed = await moderator.http.post(f"{path}/claim")

    assert claimed.data["claimedBy"] == moderator.id
    for refused in (
        await admin.http.post(f"{path}/claim"),
        await admin.http.post(f"{path}/release"),
        await admin.http.post(f"{path}/dismiss", {}),
        await admin.http.post(f"{path}/resolve", {"action": "ban"}),
    ):
        assert (refused.status, refused.code) == (409, "claimed_by_other")
    assert (await moderator.http.post(f"{path}/claim")).status == 200
    assert (await moderator.http.post(f"{path}/release")).data["claimedBy"] is None
    assert (await admin.http.post(f"{path}/resolve", {"action": "none"})).data["status"] == "resolved"
    assert (await moderator.http.post(f"{path}/claim")).code == "already_resolved"


async def test_of_two_who_decide_at_once_one_does(
    ann: Person, bob: Person, admin: Person, moderator: Person
) -> None:
    await report(ann, "user", bob.id)
    case = await case_about(moderator, bob.id)
    path = f"/api/admin/reports/{case['id']}/resolve"
    body = {"action": "mute", "durationSeconds": 3600}

    replies = await asyncio.gather(
        *(who.http.post(path, body) for who in (admin, moderator) for _ in range(3))
    )

    assert sorted(reply.status for reply in replies) == [200] + [409] * 5
    assert {reply.code for reply in replies if reply.status == 409} == {"already_resolved"}
    noted = await rows(AdminAudit).find({"target": bob.id}).sort("seq", 1).to_list()
    assert [row["action"] for row in noted] == ["report_resolved", "person_muted"]
    actions = (await moderator.http.get(f"/api/admin/users/{bob.id}/actions")).data
    assert [(one["action"], one["reportId"]) for one in actions] == [("mute", case["id"])]


async def test_a_case_about_oneself_is_not_there(ann: Person, moderator: Person, admin: Person) -> None:
    await report(ann, "user", moderator.id)

    assert await case_about(moderator, moderator.id) is None
    case = await case_about(admin, moderator.id)
    path = f"/api/admin/reports/{case['id']}"
    assert (await moderator.http.get(path)).status == 404
    for verb, body in (("claim", None), ("release", None), ("dismiss", {}), ("resolve", {"action": "none"})):
        assert (await moderator.http.post(f"{path}/{verb}", body)).status == 404
    assert (await admin.http.post(f"{path}/resolve", {"action": "ban"})).code == "staff_protected"
    assert (await case_about(admin, moderator.id))["status"] == "open"


async def test_decisions_are_checked(ann: Person, bob: Person, moderator: Person) -> None:
    await report(ann, "user", bob.id)
    case = await case_about(moderator, bob.id)
    for body, field in (
        ({"action": "execute"}, "action"),
        ({"action": "accept"}, "action"),
        ({"action": "warn", "durationSeconds": 60}, "durationSeconds"),
        ({"action": "ban", "durationSeconds": 0}, "durationSeconds"),
        ({"action": "ban", "durationSeconds": 1e12}, "durationSeconds"),
        ({"action": "ban", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"action": "ban", "until": "2999-01-01T00:00:00"}, "until"),
        ({"action": "ban", "until": "2999-01-01T00:00:00Z", "durationSeconds": 60}, "body"),
        ({"action": "ban", "note": "x" * 501}, "note"),
        ({"action": "ban", "by": NOBODY}, "by"),
    ):
        reply = await moderator.http.post(f"/api/admin/reports/{case['id']}/resolve", body)
        assert (reply.status, reply.body["errors"][0]["field"]) == (422, field), body
    assert (await case_about(moderator, bob.id))["status"] == "open"


MODERATORS_ROUTES = [
    "GET /api/admin/reports",
    "GET /api/admin/reports/{}",
    "POST /api/admin/reports/{}/claim",
    "POST /api/admin/reports/{}/release",
    "POST /api/admin/reports/{}/resolve",
    "POST /api/admin/reports/{}/dismiss",
    "GET /api/admin/users/{}/actions",
    "POST /api/admin/users/{}/actions",
    "POST /api/admin/actions/{}/reverse",
]
BODIES = {
    "resolve": {"action": "none"},
    "dismiss": {},
    "actions": {"action": "warn", "reason": "x"},
    "reverse": {},
}


async def test_only_moderators_moderate(ann: Person, bob: Person, moderator: Person) -> None:
    for route in MODERATORS_ROUTES:
        method, path = route.format(bob.id).split(" ")
        body = BODIES.get(path.rpartition("/")[2]) if method == "POST" else None

        refused = await ann.http.ask(method, path, json=body)
        allowed = await moderator.http.ask(method, path, json=body)
        async with Http(ann.http.url) as nobody:
            unknown = await nobody.ask(method, path, json=body)

        assert (refused.status, refused.code) == (403, "moderator_only"), route
        assert allowed.status in (200, 201, 404), route
        assert unknown.status == 401, route


async def test_what_is_not_there_cannot_be_moderated(moderator: Person) -> None:
    for path, body in (
        (f"/api/admin/reports/{NOBODY}/resolve", {"action": "none"}),
        (f"/api/admin/reports/{NOBODY}/claim", None),
        (f"/api/admin/users/{NOBODY}/actions", {"action": "ban", "reason": "x"}),
        (f"/api/admin/actions/{NOBODY}/reverse", {}),
        ("/api/admin/actions/nothing/reverse", {}),
    ):
        assert (await moderator.http.post(path, body)).status == 404, path


# -- appeals


async def test_who_is_banned_appeals_once_with_the_token_of_the_refusal(
    ann: Person, admin: Person, moderator: Person
) -> None:
    ban = await act(moderator, ann.id, "ban", durationSeconds=86_400)
    login = {"identifier": ann.handle, "password": ann.password}
    ann.http.token = None
    refused = await ann.http.post("/api/auth/login", login)
    assert (refused.status, refused.code) == (403, "account_banned")
    told = refused.body["detail"]
    assert (told["reason"], told["sanctionId"]) == ("you know why", ban["id"])
    assert datetime.fromisoformat(told["until"]) == datetime.fromisoformat(ban["until"])
    assert told["appeal"]["status"] == "possible"
    appeal = {"token": told["appeal"]["token"], "text": "it was not me"}

    replies = await asyncio.gather(*(ann.http.post("/api/appeals", appeal) for _ in range(5)))

    assert sorted(reply.status for reply in replies) == [201] + [409] * 4
    assert {reply.code for reply in replies if reply.status == 409} <= {"appeal_open", "appeal_token_used"}
    waiting = (await ann.http.post("/api/auth/login", login)).body["detail"]["appeal"]
    assert (waiting["status"], waiting["token"]) == ("open", None)
    case = await case_about(admin, ban["id"], type="appeal")
    path = f"/api/admin/reports/{case['id']}"
    shown = (await admin.http.get(path)).data
    assert shown["reports"][0]["text"] == "it was not me"
    assert shown["reports"][0]["evidence"]["sanction"]["reason"] == "you know why"
    assert (await admin.http.post(f"{path}/resolve", {"action": "ban"})).status == 422
    assert (await moderator.http.post(f"{path}/resolve", {"action": "accept"})).code == "admin_only"
    assert (await admin.http.post(f"{path}/resolve", {"action": "accept"})).data["status"] == "resolved"
    back = await ann.http.post("/api/auth/login", login)
    assert back.status == 200
    ann.http.token = back.body["token"]
    assert [one["status"] for one in (await ann.http.get("/api/appeals")).data] == ["accepted"]
    assert (await ann.http.get("/api/sanctions")).data[0]["status"] == "reversed"
    noted = await rows(AdminAudit).find({"target": ann.id}).sort("seq", 1).to_list()
    assert [row["action"] for row in noted] == ["person_banned", "report_resolved", "action_reversed"]


async def test_a_rejected_appeal_changes_nothing_and_the_third_is_the_last(
    ann: Person, admin: Person
) -> None:
    mute = await act(admin, ann.id, "mute")
    appeal = {"sanctionId": mute["id"], "text": "please"}
    for _ in range(3):
        assert (await ann.http.post("/api/appeals", appeal)).status == 201
        assert (await ann.http.post("/api/appeals", appeal)).code == "appeal_open"
        case = await case_about(admin, mute["id"])
        rejected = await admin.http.post(f"/api/admin/reports/{case['id']}/resolve", {"action": "reject"})
        assert rejected.data["status"] == "dismissed"

    last = await ann.http.post("/api/appeals", appeal)

    assert (last.status, last.code) == (409, "appeals_used_up")
    (shown,) = (await ann.http.get("/api/sanctions")).data
    assert (shown["status"], shown["appeal"]) == ("active", "used_up")


async def test_appeals_are_about_what_was_done_to_oneself(ann: Person, bob: Person, admin: Person) -> None:
    mute = await act(admin, ann.id, "mute")
    ban = await act(admin, (banned := bob).id, "ban")
    told = await banned.http.post(
        "/api/auth/login", {"identifier": banned.handle, "password": banned.password}
    )
    token = told.body["detail"]["appeal"]["token"]
    forged = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]

    for who, body, status, code in (
        (bob, {"sanctionId": mute["id"], "text": "x"}, 404, "not_found"),
        (ann, {"sanctionId": ban["id"], "text": "x"}, 404, "not_found"),
        (bob, {"token": forged, "text": "x"}, 401, "invalid_token"),
        (bob, {"token": ann.token, "text": "x"}, 401, "wrong_token_type"),
        (bob, {"token": bob.refresh_token, "text": "x"}, 401, "wrong_token_type"),
        (bob, {"token": token, "sanctionId": ban["id"], "text": "x"}, 422, "invalid_payload"),
        (bob, {"token": token, "text": ""}, 422, "invalid_payload"),
        (bob, {"text": "x"}, 422, "invalid_payload"),
    ):
        reply = await who.http.post("/api/appeals", body)
        assert (reply.status, reply.code) == (status, code), body
    await admin.http.post(f"/api/admin/actions/{ban['id']}/reverse", {})
    assert (await bob.http.post("/api/appeals", {"token": token, "text": "x"})).code == "sanction_over"


async def test_nobody_takes_back_what_was_done_about_themselves(admin: Person, ann: Person) -> None:
    warning = await act(admin, ann.id, "warn")
    assert (await put(admin, ann.id, is_moderator=True)).status == 200

    reply = await ann.http.post(f"/api/admin/actions/{warning['id']}/reverse", {})

    assert (reply.status, (await ann.http.get("/api/sanctions")).data[0]["status"]) == (404, "active")
    assert (await admin.http.post(f"/api/admin/actions/{warning['id']}/reverse", {})).status == 200
