"""Profiles: what one shows to whom, what one changes, and how one is found."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from common.clock import now
from common.ids import new_id
from documents.accounts import User
from documents.rows import rows
from tests.accounts import new_handle
from tests.clients import Person, Reply
from tests.conftest import SignUp

PIXEL = b"GIF87a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


async def profile_of(person: Person, viewer: Person) -> Reply:
    return await viewer.http.get(f"/api/users/{person.id}")


async def change(person: Person, **fields: Any) -> Reply:
    return await person.http.patch(f"/api/users/{person.id}/profile", fields)


# -- seeing


async def test_l07_a_profile_tells_of_friendship_and_mutual_friends(
    ann: Person, bob: Person, cyd: Person
) -> None:
    await ann.befriend(cyd)
    await bob.befriend(cyd)

    seen = (await profile_of(bob, ann)).data

    assert seen["id"] == bob.id
    assert seen["handle"] == bob.handle
    assert seen["friendship"] == "none"
    assert seen["mutualFriends"] == 1
    assert seen["isOnline"] is False
    assert seen["reputation"]["trustLevel"] == 1
    assert (seen["tier"], seen["streak"]) == ("Bronze", 1)
    assert "email" not in seen
    assert "settings" not in seen
    assert seen["lastActive"] is None


async def test_one_sees_all_of_oneself(ann: Person) -> None:
    seen = (await profile_of(ann, ann)).data
    assert seen["email"] == ann.email
    assert seen["friendship"] == "self"
    assert seen["settings"]["privacy"] == "public"
    assert seen["lastActive"] is not None


async def test_friends_see_when_one_is_there(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    await bob.device()

    seen = (await profile_of(bob, ann)).data

    assert seen["friendship"] == "friends"
    assert seen["isOnline"] is True
    assert seen["lastActive"] is not None


@pytest.mark.parametrize(
    ("privacy", "friend_sees_all", "stranger_sees_all"),
    [("public", True, True), ("friends", True, False), ("private", False, False)],
)
async def test_privacy_decides_who_sees_more_than_the_card(
    join: SignUp, privacy: str, friend_sees_all: bool, stranger_sees_all: bool
) -> None:
    owner, friend, stranger = [await join(name) for name in ("owner", "friend", "stranger")]
    await owner.befriend(friend)
    await change(owner, bio="the bio", settings={"privacy": privacy})
    card = {"id", "name", "handle", "avatar", "friendship"}

    for viewer, sees_all in ((friend, friend_sees_all), (stranger, stranger_sees_all)):
        seen = (await profile_of(owner, viewer)).data
        assert ("the bio" in seen.values()) is sees_all
        assert (set(seen) == card) is not sees_all


async def test_whoever_is_blocked_finds_nobody_and_is_not_found(ann: Person, bob: Person) -> None:
    absent = await ann.http.get(f"/api/users/{new_id()}")
    assert (await ann.http.post("/api/friends/block", {"userId": bob.id})).status == 200

    for viewer, person in ((bob, ann), (ann, bob)):
        reply = await profile_of(person, viewer)
        assert reply.status == absent.status == 404
        assert reply.body["error"] == absent.body["error"]
        assert person.id not in await found(viewer, person.handle)


async def test_who_may_not_take_part_is_not_there(ann: Person, bob: Person) -> None:
    await rows(User).update_one({"_id": bob.id}, {"$set": {"is_banned": True}})
    assert (await profile_of(bob, ann)).status == 404
    assert await found(ann, bob.handle) == []


async def test_a_profile_needs_a_viewer(ann: Person) -> None:
    ann.http.token = None
    assert (await profile_of(ann, ann)).status == 401
    assert (await ann.http.get("/api/users/search?q=ann")).status == 401


# -- changing


async def test_l08_one_changes_what_is_ones_own(ann: Person) -> None:
    avatar = (await ann.upload(PIXEL)).data["url"]
    wanted = {
        "name": "Zoë Ångström",
        "bio": "Line one\r\nline two",
        "avatar": avatar,
        "coverPhoto": "/api/user_image/0b56949c-62cd-4d96-aa96-f37c48d9a405/serve/",
        "location": "Zürich",
        "website": "https://example.org/~ann",
        "full_name": "Zoë Maria Ångström",
        "university": "ETH",
        "degree": "MSc",
        "year": 2026,
        "interests": ["Jazz", "jazz", "写真"],
        "skills": {"Piano": "EXPERT", "C#": "BEGINNER", "Node.js": "ADVANCED"},
        "auto_invite_enabled": False,
        "preferred_radius": 2.5,
        "settings": {"darkMode": True},
    }

    changed = (await change(ann, **wanted)).data

    stored = (await profile_of(ann, ann)).data
    assert changed == stored
    expected = {**wanted, "bio": "Line one\nline two", "year": "2026", "interests": ["jazz", "写真"]}
    expected["settings"] = {"privacy": "public", "visibility": {}, "notifications": True, "darkMode": True}
    assert {name: stored[name] for name in expected} == expected


async def test_what_is_not_named_stays_and_null_takes_pictures_away(ann: Person) -> None:
    avatar = (await ann.upload(PIXEL)).data["id"]
    await change(ann, bio="stays", avatar=avatar, settings={"notifications": False})
    assert (await profile_of(ann, ann)).data["avatar"] is not None
    await change(ann, avatar=None, location="here")

    seen = (await profile_of(ann, ann)).data

    assert (seen["bio"], seen["location"], seen["avatar"]) == ("stays", "here", None)
    assert seen["settings"]["notifications"] is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", None),
        ("name", "x" * 81),
        ("name", "ann\u202egnp"),
        ("name", "\u200b"),
        ("name", "a\nb"),
        ("name", "a\0b"),
        ("bio", "x" * 501),
        ("bio", None),
        ("website", "javascript:alert(1)"),
        ("website", "ftp://example.org"),
        ("website", 'https://example.org/"><script>'),
        ("avatar", "data:image/png;base64,AAAA"),
        ("avatar", "//evil.example/a.png"),
        ("avatar", "/api/../etc/passwd\n"),
        ("location", "x" * 101),
        ("interests", ["x"] * 31),
        ("interests", ["x" * 41]),
        ("interests", [""]),
        ("skills", {"Piano": "GOD"}),
        ("skills", {"$set": "EXPERT"}),
        ("skills", {"x" * 41: "EXPERT"}),
        ("preferred_radius", 0),
        ("preferred_radius", -1),
        ("preferred_radius", 501),
        ("preferred_radius", "near"),
        ("auto_invite_enabled", "maybe"),
        ("settings", {"privacy": "secret"}),
        ("settings", {"privacy": None}),
        ("settings", {"unknown": 1}),
        ("handle", "admin"),
        ("handle", "a b"),
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_changes(ann: Person, field: str, value: Any) -> None:
    before = (await profile_of(ann, ann)).data
    reply = await change(ann, **{field: value, "degree": "changed"})
    assert reply.status == 422
    assert (await profile_of(ann, ann)).data == before


async def test_nobody_changes_the_profile_of_another(ann: Person, bob: Person) -> None:
    reply = await ann.http.patch(f"/api/users/{bob.id}/profile", {"bio": "mine now"})
    assert reply.status == 403
    assert reply.code == "not_your_profile"


async def test_a_handle_is_changed_once_a_week(ann: Person) -> None:
    first, second = new_handle(), new_handle()

    assert (await change(ann, handle=first)).status == 200
    assert (await change(ann, handle=first.upper())).status == 200
    refused = await change(ann, handle=second)
    assert refused.status == 409
    assert refused.code == "handle_changed_lately"
    assert int(refused.headers["Retry-After"]) > 6 * 86_400

    week_ago = now() - timedelta(days=7, seconds=1)
    await rows(User).update_one({"_id": ann.id}, {"$set": {"handle_changed_at": week_ago}})
    assert (await change(ann, handle=second)).status == 200
    assert (await ann.http.get("/api/auth/me")).data["username"] == second


async def test_a_handle_that_somebody_has_cannot_be_taken(ann: Person, bob: Person) -> None:
    reply = await change(ann, handle=bob.handle.upper())
    assert reply.status == 409
    assert reply.code == "account_exists"
    assert (await profile_of(ann, ann)).data["handle"] == ann.handle


async def test_changes_made_at_once_are_all_kept(ann: Person) -> None:
    tags = [f"t{uuid.uuid4().hex[:10]}" for _ in range(3)]
    changes: list[dict[str, Any]] = [
        {"bio": "b", "settings": {"notifications": False}},
        {"name": tags[0], "settings": {"darkMode": True}},
        {"interests": [tags[1]]},
        {"handle": tags[2]},
    ]

    replies = await asyncio.gather(*(change(ann, **fields) for fields in changes))

    assert {reply.status for reply in replies} == {200}
    seen = (await profile_of(ann, ann)).data
    assert (seen["bio"], seen["name"], seen["interests"], seen["handle"]) == (
        "b",
        tags[0],
        [tags[1]],
        tags[2],
    )
    assert (seen["settings"]["notifications"], seen["settings"]["darkMode"]) == (False, True)
    for tag in tags:
        assert await found(ann, tag) == [ann.id]


# -- finding


async def search(viewer: Person, q: str, **params: Any) -> Reply:
    return await viewer.http.get("/api/users/search", params={"q": q, **params})


async def found(viewer: Person, q: str) -> list[str]:
    return [card["id"] for card in (await search(viewer, q, limit=100)).data]


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("John Unverzagt", ["unv", "verz", "jo unver", "UNVERZAGT", "zagt john"]),
        ("Zoë Ångström", ["zoe ang", "ÅNGSTRÖM", "gstr"]),
        ("李小龙", ["小龙", "李小龙", "李"]),
        ("たなか はなこ", ["なか", "はな たな"]),
        ("김철수", ["철수", "김철"]),
        ("Мария Кюри", ["мар", "КЮРИ", "юри"]),
        ("สมชาย ใจดี", ["มชาย", "ใจดี"]),
        ("O'Neill-Smith", ["neill", "smith"]),
    ],
)
async def test_l09_parts_of_words_of_any_script_find_a_person(
    ann: Person, join: SignUp, name: str, queries: list[str]
) -> None:
    person = await join("found")
    marker = uuid.uuid4().hex[:6]
    await change(person, name=f"{name} q{marker}")
    for query in queries:
        assert await found(ann, f"{query} q{marker}") == [person.id], query
    assert await found(ann, f"zzz q{marker}") == []


async def test_the_first_letters_of_a_word_are_enough(ann: Person, bob: Person) -> None:
    await change(bob, name="Quinoa Xylophon")
    assert bob.id in await found(ann, "qu xy")
    assert bob.id in await found(ann, "x")
    assert bob.id not in await found(ann, "yl")


async def test_handles_and_public_interests_are_searched_and_private_people_are_not(
    ann: Person, bob: Person
) -> None:
    tag = f"kendo{uuid.uuid4().hex[:8]}"
    await change(bob, interests=[tag])
    assert await found(ann, tag.upper()) == [bob.id]
    assert await found(ann, bob.handle[2:]) == [bob.id]

    await change(bob, settings={"privacy": "friends"})
    assert await found(ann, tag) == []
    assert await found(ann, bob.handle) == [bob.id]

    await change(bob, settings={"privacy": "private"})
    assert await found(ann, bob.handle) == []


async def test_a_list_of_people_neither_skips_nor_repeats_while_more_arrive(
    ann: Person, join: SignUp
) -> None:
    tag = f"m{uuid.uuid4().hex[:8]}"
    people = {(await join(tag)).id for _ in range(5)}
    first = await search(ann, tag, limit=2)
    assert first.body["pagination"]["total"] == 5
    assert first.body["pagination"]["pages"] == 3
    await join(f"{tag}0")

    seen = [card["id"] for card in first.data]
    cursor = first.body["pagination"]["next_cursor"]
    while cursor is not None:
        page = await search(ann, tag, limit=2, cursor=cursor)
        seen += [card["id"] for card in page.data]
        cursor = page.body["pagination"]["next_cursor"]

    assert people <= set(seen)
    assert len(seen) == len(set(seen))


async def test_a_cursor_is_good_for_its_own_search_only(ann: Person, bob: Person, join: SignUp) -> None:
    tag = f"m{uuid.uuid4().hex[:8]}"
    for _ in range(2):
        await join(tag)
    cursor = (await search(ann, tag, limit=1)).body["pagination"]["next_cursor"]
    for reply in (await search(ann, "other", cursor=cursor), await search(bob, tag, cursor=cursor)):
        assert reply.status == 422
        assert reply.code == "bad_cursor"


@pytest.mark.parametrize("q", ["(z+)+$", ".*" * 32, "^z.n", "\\", "%", "$where", "***", "_", "'; drop"])
async def test_no_query_is_a_pattern(ann: Person, q: str) -> None:
    reply = await search(ann, q)
    assert reply.status == 200
    assert all(ann.handle != card["handle"] for card in reply.data)


@pytest.mark.parametrize(
    "params", [{}, {"q": ""}, {"q": "x" * 65}, {"q": "a", "limit": 101}, {"q": "a", "x": 1}]
)
async def test_a_search_has_bounds(ann: Person, params: dict[str, Any]) -> None:
    assert (await ann.http.get("/api/users/search", params=params)).status == 422
