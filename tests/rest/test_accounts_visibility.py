"""Who sees what of somebody: each part of a profile has the audience its owner chose for it."""

import asyncio
import uuid
from typing import Any

import pytest

from documents.accounts import User
from documents.accounts.choices import audience, audience_for
from documents.rows import rows
from realtime.features.accounts.rules.points import AWARDS
from realtime.policy import Verb
from tests.clients import Json, Person, Reply, eventually
from tests.conftest import SignUp

SAID: dict[str, Any] = {
    "bio": "the bio",
    "location": "Bern",
    "website": "https://example.org",
    "full_name": "Ann Example",
    "university": "ETH",
    "degree": "MSc",
    "year": "2",
    "interests": ["jazz"],
    "skills": {"Node.js": "EXPERT"},
}
PARTS: dict[str, list[str]] = {
    "bio": ["bio"],
    "location": ["location"],
    "website": ["website"],
    "fullName": ["full_name"],
    "education": ["university", "degree", "year"],
    "interests": ["interests"],
    "skills": ["skills"],
    "score": ["vibeScore", "tier", "streak"],
}
NOTHING: dict[str, Any] = {"interests": [], "skills": {}, "vibeScore": 0, "streak": 0, "tier": "Bronze"}
CARD = {"id", "name", "handle", "avatar", "friendship"}


async def change(person: Person, **fields: Any) -> Reply:
    return await person.http.patch(f"/api/users/{person.id}/profile", fields)


async def choose(person: Person, privacy: str, **visibility: str | None) -> None:
    reply = await change(person, settings={"privacy": privacy, "visibility": visibility})
    assert reply.status == 200, reply.body


async def seen(viewer: Person, person: Person) -> Json:
    return (await viewer.http.get(f"/api/users/{person.id}")).data


@pytest.fixture
async def circle(join: SignUp) -> dict[str, Person]:
    """Somebody who has said everything, a friend, and a stranger."""
    found = {name: await join(name) for name in ("owner", "friend", "stranger")}
    await found["owner"].befriend(found["friend"])
    assert (await change(found["owner"], **SAID)).status == 200
    await eventually(lambda: has_points(found["owner"]))
    return found


async def has_points(person: Person) -> bool:
    """Whether their first friend has counted."""
    return (await seen(person, person))["vibeScore"] == AWARDS["visit"].points + AWARDS["friend"].points


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_is_shown_to_those_it_was_chosen_for(circle: dict[str, Person], part: str) -> None:
    owner = circle["owner"]
    own = await seen(owner, owner)
    for chosen, who_sees in (
        ("public", {"friend", "stranger"}),
        ("friends", {"friend"}),
        ("private", set[str]()),
    ):
        await choose(owner, "public", **{part: chosen})
        for name in ("friend", "stranger"):
            shown = await seen(circle[name], owner)
            for field in PARTS[part]:
                expected = own[field] if name in who_sees else NOTHING.get(field, "")
                assert shown[field] == expected, (field, chosen, name)
        assert {field: (await seen(owner, owner))[field] for field in PARTS[part]} == {
            field: own[field] for field in PARTS[part]
        }


@pytest.mark.parametrize("part", PARTS)
async def test_of_a_private_profile_only_what_was_chosen_is_shown(
    circle: dict[str, Person], part: str
) -> None:
    owner, friend, stranger = circle["owner"], circle["friend"], circle["stranger"]
    await choose(owner, "private")
    assert set(await seen(friend, owner)) == set(await seen(stranger, owner)) == CARD

    await choose(owner, "private", **{part: "friends"})
    own, shown = await seen(owner, owner), await seen(friend, owner)

    assert set(shown) == {*CARD, *PARTS[part]}
    assert {field: shown[field] for field in PARTS[part]} == {field: own[field] for field in PARTS[part]}
    assert set(await seen(stranger, owner)) == CARD


async def test_choices_are_merged_and_taken_back_one_by_one(ann: Person) -> None:
    async def chosen() -> Json:
        return (await seen(ann, ann))["settings"]["visibility"]

    assert await chosen() == {}
    await change(ann, settings={"visibility": {"bio": "private", "lastSeen": "friends"}})
    await change(ann, settings={"visibility": {"fullName": "public"}, "darkMode": True})
    await change(ann, settings={"privacy": "friends"})
    assert await chosen() == {"bio": "private", "lastSeen": "friends", "fullName": "public"}
    await change(ann, settings={"visibility": {"bio": None}})
    assert await chosen() == {"lastSeen": "friends", "fullName": "public"}
    assert (await ann.http.get("/api/auth/me")).data["settings"]["visibility"] == await chosen()


async def test_choices_made_at_once_are_all_kept(ann: Person) -> None:
    choices = [{part: "friends"} for part in (*PARTS, "friends", "presence", "lastSeen")]
    replies = await asyncio.gather(*(change(ann, settings={"visibility": one}) for one in choices))
    assert {reply.status for reply in replies} == {200}
    assert len((await seen(ann, ann))["settings"]["visibility"]) == len(choices)


@pytest.mark.parametrize(
    "visibility",
    [
        {"email": "public"},
        {"bio": "everybody"},
        {"bio": {"$ne": None}},
        {"full_name ": "public"},
        {"__proto__": "public"},
        {"bio.x": "public"},
        {"$set": "public"},
        [],
        None,
        "private",
        {f"f{number}": "public" for number in range(1000)},
    ],
)
async def test_what_is_no_choice_is_refused(ann: Person, visibility: Any) -> None:
    reply = await change(ann, settings={"visibility": visibility})
    assert reply.status == 422
    assert (await seen(ann, ann))["settings"]["visibility"] == {}


async def test_a_hidden_interest_finds_nobody(ann: Person, bob: Person) -> None:
    tag = f"kendo{uuid.uuid4().hex[:8]}"

    async def found() -> list[str]:
        reply = await ann.http.get("/api/users/search", params={"q": tag})
        return [card["id"] for card in reply.data]

    await change(bob, interests=[tag])
    assert await found() == [bob.id]
    for hidden in ("friends", "private"):
        await choose(bob, "public", interests=hidden)
        assert await found() == []
    await choose(bob, "friends", interests="public")
    assert await found() == [bob.id]
    await choose(bob, "private", interests="public")
    assert await found() == []


async def test_an_administrator_sees_what_is_hidden_except_presence_and_friends(
    ann: Person, bob: Person
) -> None:
    await change(bob, bio="for nobody")
    await choose(bob, "private", bio="private")
    await rows(User).update_one({"_id": ann.id}, {"$set": {"is_admin": True}})

    shown = await seen(ann, bob)

    assert shown["bio"] == "for nobody"
    assert (shown["isOnline"], shown["lastActive"], shown["mutualFriends"]) == (False, None, 0)
    assert (await ann.http.get(f"/api/friends/{bob.id}")).status == 403


def test_when_one_was_last_seen_is_never_wider_than_whether_one_is_there() -> None:
    assert audience("public", {}, "last_seen") == "public"
    assert audience("public", {"presence": "private"}, "last_seen") == "private"
    assert audience("private", {"last_seen": "public"}, "last_seen") == "private"
    assert audience("private", {"last_seen": "public", "presence": "friends"}, "last_seen") == "friends"
    assert audience("public", {"last_seen": "private", "presence": "public"}, "last_seen") == "private"


def test_the_verbs_that_have_an_audience_of_their_own_are_verbs() -> None:
    own = {"friends": Verb.SEE_FRIENDS, "presence": Verb.SEE_PRESENCE}
    for part, verb in own.items():
        for chosen in ("public", "friends", "private"):
            choice: Any = {part: chosen}
            assert audience_for(verb, "public", choice) == audience_for(verb, "private", choice) == chosen
    others = set(Verb) - {*own.values(), Verb.SEE_LAST_SEEN}
    everything: Any = {"friends": "public", "presence": "public", "last_seen": "public", "bio": "public"}
    assert {audience_for(verb, "friends", everything) for verb in others} == {"friends"}
