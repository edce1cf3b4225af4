"""Profiles meet whatever may be sent: it is refused with its typed answer, and nothing changes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from documents.accounts import User
from tests.clients import Json, Person
from tests.conftest import Node, SignUp

TEXT_FIELDS = ("name", "handle", "bio", "location", "website", "full_name", "university", "degree", "avatar")
MARKS = "a" + "\u0301" * 10_000
HOSTILE: dict[str, Any] = {
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "turned round": "gnp.\u202eexe",
    "isolate": "a\u2067b",
    "marks": MARKS,
    "a few marks": "Z" + "\u0335\u0321" * 10,
    "unseen": "\u3164",
    "long": "x" * 100_000,
    "operator": {"$ne": None},
    "code": {"$where": "sleep(1000)"},
    "number": 12.5,
    "yes": True,
    "list": ["x"],
    "deep": json.loads("[" * 30 + "]" * 30),
}
GRANTED: dict[str, Any] = {
    "id": "11111111-1111-4111-8111-111111111111",
    "_id": "x",
    "email": "new@example.org",
    "isAdmin": True,
    "is_admin": True,
    "is_approved": True,
    "is_moderator": True,
    "is_certified": True,
    "isCertified": True,
    "is_banned": False,
    "vibeScore": 9999,
    "vibe_score": 9999,
    "tier": "Platinum",
    "streak": 365,
    "streak_day": "2099-01-01",
    "createdAt": "1999-01-01T00:00:00Z",
    "lastActive": "2099-01-01T00:00:00Z",
    "isOnline": True,
    "password_hash": "x",
    "password": "x",
    "revision": 0,
    "handle_key": "admin",
    "handle_claims": [],
    "held_handles": [],
    "search_text": "x",
    "invisible": True,
    "reputation": {"trustLevel": 5},
    "friendship": "friends",
    "mutualFriends": 5000,
    "user_id": "x",
    "__proto__": {"is_admin": True},
    "$set": {"is_admin": True},
    "settings.privacy": "public",
}


async def patch_raw(person: Person, body: Json) -> tuple[int, Json]:
    """Send JSON as it is, also what a JSON library would not let through."""
    text = json.dumps(body)
    headers = {"Content-Type": "application/json"}
    reply = await person.http.ask("PATCH", f"/api/users/{person.id}/profile", data=text, headers=headers)
    return reply.status, reply.body


async def stored(person: Person) -> dict[str, Any]:
    user = await User.find_by("_id", person.id)
    assert user is not None
    return user.model_dump(exclude={"last_active", "vibe_score", "streak", "streak_day"})


def bodies() -> Iterator[tuple[str, Json]]:
    for field in TEXT_FIELDS:
        for kind, value in HOSTILE.items():
            yield f"{field}: {kind}", {field: value}
    for kind in ("nul", "surrogate", "turned round", "marks", "unseen", "operator", "deep"):
        yield f"interests: {kind}", {"interests": [HOSTILE[kind]]}
        yield f"location in a list: {kind}", {"location": [HOSTILE[kind]]}
    for kind in ("nul", "surrogate", "turned round", "marks", "unseen"):
        yield f"skills: {kind}", {"skills": {HOSTILE[kind]: "EXPERT"}}
    yield "name: joiner", {"name": "\u200d"}
    yield "interests: joiner", {"interests": ["\u200d"]}
    yield "many interests", {"interests": [f"tag {n}" for n in range(10_000)]}
    yield "many skills", {"skills": {f"skill {n}": "EXPERT" for n in range(10_000)}}
    yield "level", {"skills": {"Piano": {"$gt": ""}}}
    yield "year", {"year": 10**30}
    yield "year as truth", {"year": True}
    yield "radius without end", {"preferred_radius": float("inf")}
    yield "radius that is none", {"preferred_radius": float("nan")}
    yield "settings", {"settings": "public"}
    yield "settings of settings", {"settings": {"settings": {"privacy": "public"}}}
    yield "no object", ["name", "x"]
    yield "nothing", None


async def test_hostile_values_are_refused_in_every_field_and_change_nothing(ann: Person) -> None:
    before = await stored(ann)
    for what, body in bodies():
        status, answer = await patch_raw(ann, body)
        assert status in {400, 413, 422}, (what, status)
        assert answer["success"] is False, what
        assert answer["code"] in {
            "invalid_payload",
            "unknown_field",
            "bad_json",
            "invalid_json",
            "body_too_large",
        }, (what, answer["code"])
    assert await stored(ann) == before


async def test_derived_and_granted_fields_are_unknown_here(ann: Person) -> None:
    before = await stored(ann)
    for field, value in GRANTED.items():
        status, answer = await patch_raw(ann, {field: value})
        assert (status, answer["code"]) == (422, "unknown_field"), field
        status, _ = await patch_raw(ann, {"bio": "changed", field: value})
        assert status == 422, field
        status, _ = await patch_raw(ann, {"settings": {field: value}})
        assert status == 422, field
    assert await stored(ann) == before


@pytest.mark.parametrize("field", ["avatar", "coverPhoto"])
async def test_l08_pictures_are_ours(plaza: Node, ann: Person, field: str) -> None:
    before = await stored(ann)
    ours = plaza.services.settings.public_url
    path = "/api/user_image/0b56949c-62cd-4d96-aa96-f37c48d9a405/serve/"
    for foreign in (
        "https://evil.example/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/a.png",
        "http://localhost:9/a.png",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        f"//evil.example{path}",
        f"{ours}.evil.example{path}",
        f"{ours}@evil.example{path}",
        f"{ours}/../..{path}",
        f"{path}../../../users/search",
        f"{path}\n",
        f"{path}?next=https://evil.example",
        "/api/users/search",
        "/api/media/../users/search",
        "/api/media/%2e%2e/x",
        "/api/media/x",
        ours,
    ):
        status, answer = await patch_raw(ann, {field: foreign})
        assert status == 422, foreign
        assert answer["errors"][0]["field"] == field
    assert await stored(ann) == before


@pytest.mark.parametrize("field", ["avatar", "coverPhoto"])
async def test_l08_what_is_no_upload_of_ones_own_is_not_there(ann: Person, field: str) -> None:
    status, answer = await patch_raw(ann, {field: "0b56949c-62cd-4d96-aa96-f37c48d9a404"})
    assert (status, answer["code"]) == (404, "media_not_found")


@pytest.mark.parametrize(
    "website",
    [
        "http://169.254.169.254/",
        "http://127.0.0.1:8001/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.1.2.3",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://localhost./",
        "http://printer.local/",
        "https://bank.example@evil.example/",
        "https://exa\u202emple.org",
        "https://example.org:99999/",
        "http:///path",
        "HTTPS ://x",
    ],
)
async def test_a_link_that_misleads_is_refused(ann: Person, website: str) -> None:
    status, _ = await patch_raw(ann, {"website": website})
    assert status == 422
    assert (await stored(ann))["website"] == ""


@pytest.mark.parametrize(
    "website",
    [
        "https://example.org",
        "http://münchen.example/straße?q=1#x",
        "https://1.1.1.1/",
        "https://a.b:8443/~ann",
    ],
)
async def test_a_link_that_leads_somewhere_is_kept(ann: Person, website: str) -> None:
    assert (await patch_raw(ann, {"website": website}))[0] == 200
    assert (await stored(ann))["website"] == website


async def test_names_of_skills_are_what_people_call_them(ann: Person, bob: Person) -> None:
    skills = {
        "Node.js": "EXPERT",
        "C++": "BEGINNER",
        ".NET": "ADVANCED",
        "a.b.c": "INTERMEDIATE",
        "写真": "EXPERT",
    }
    assert (await patch_raw(ann, {"skills": skills}))[0] == 200
    for viewer in (ann, bob):
        assert (await viewer.http.get(f"/api/users/{ann.id}")).data["skills"] == skills
    assert (await patch_raw(ann, {"skills": {}}))[0] == 200
    assert (await ann.http.get(f"/api/users/{ann.id}")).data["skills"] == {}


async def test_skills_that_were_stored_by_name_are_still_known() -> None:
    old = {"handle": "a", "handle_key": "a", "handle_skeleton": "a", "name": "a", "password_hash": ""}
    user = User.model_validate({**old, "skills": {"Piano": "EXPERT"}})
    assert [(skill.name, skill.level) for skill in user.skills] == [("Piano", "EXPERT")]


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET", "PATCH"])
async def test_ids_of_people_are_ids(ann: Person, join: SignUp, method: str) -> None:
    for wrong in ("me", "..", "%00", "1", "{}", "11111111-1111-4111-8111-11111111111g", "\u202e", "a" * 5000):
        path = f"/api/friends/{wrong}" if method == "DELETE" else f"/api/users/{wrong}"
        if method == "PATCH":
            path += "/profile"
        reply = await ann.http.ask(method, path)
        assert 400 <= reply.status < 500, (wrong, reply.status)
