"""Who is suggested to whom, and why."""

import uuid
from typing import Any

import pytest

from documents.rows import rows
from documents.suggestions import SuggestionList
from tests.clients import Json, Person, Reply
from tests.conftest import SignUp


def new_tag(name: str = "tag") -> str:
    return f"{name}{uuid.uuid4().hex[:10]}"


async def suggestions(person: Person, **params: Any) -> Reply:
    reply = await person.http.get("/api/friends/suggestions", params=params)
    assert reply.status == 200, reply.body
    return reply


async def suggested(person: Person) -> dict[str, list[Json]]:
    """Who is suggested, in order, and why; from a list made just now."""
    await rows(SuggestionList).delete_one({"_id": person.id})
    return {row["user"]["id"]: row["reasons"] for row in (await suggestions(person, limit=100)).data}


async def change(person: Person, **fields: Any) -> None:
    assert (await person.http.patch(f"/api/users/{person.id}/profile", fields)).status == 200


async def test_l27_friends_of_friends_are_suggested_with_how_many_there_are_in_common(
    ann: Person, bob: Person, cyd: Person, join: SignUp
) -> None:
    dan, eve = await join("dan"), await join("eve")
    for friend in (bob, cyd):
        await ann.befriend(friend)
        await friend.befriend(dan)
    await cyd.befriend(eve)

    found = await suggested(ann)

    assert list(found)[:2] == [dan.id, eve.id]
    assert found[dan.id] == [{"type": "mutual_friends", "text": "2 friends in common", "count": 2}]
    assert found[eve.id] == [{"type": "mutual_friends", "text": "1 friend in common", "count": 1}]


async def test_l27_shared_interests_and_the_same_university_are_reasons(ann: Person, bob: Person) -> None:
    tag, place = new_tag("kendo "), new_tag("Universität ")
    await change(ann, interests=[tag.upper(), "Jazz"], university=place.upper())
    await change(bob, interests=["JAZZ", tag], university=place)

    reasons = (await suggested(ann))[bob.id]

    assert reasons == [
        {"type": "shared_interests", "text": f"You both like JAZZ and {tag}", "interests": ["JAZZ", tag]},
        {"type": "same_university", "text": f"You are both at {place}", "university": place},
    ]


async def test_a_rare_interest_weighs_more_than_a_common_one(
    ann: Person, bob: Person, cyd: Person, join: SignUp
) -> None:
    common, rare = new_tag("common"), new_tag("rare")
    for _ in range(5):
        await change(await join("one"), interests=[common])
    await change(bob, interests=[common])
    await change(cyd, interests=[rare])
    await change(ann, interests=[common, rare])

    found = list(await suggested(ann))

    assert found.index(cyd.id) < found.index(bob.id)


async def test_who_is_known_asked_blocked_hidden_or_dismissed_is_not_suggested(
    ann: Person, join: SignUp
) -> None:
    tag = new_tag()
    names = ("friend", "asked", "asking", "blocked", "blocking", "private", "closed", "dismissed", "left")
    people = {name: await join(name) for name in names}
    for person in (ann, *people.values()):
        await change(person, interests=[tag])
    assert set(await suggested(ann)) >= {person.id for person in people.values()}

    await ann.befriend(people["friend"])
    for who, verb, whom in (
        (ann, "request", people["asked"]),
        (people["asking"], "request", ann),
        (ann, "block", people["blocked"]),
        (people["blocking"], "block", ann),
    ):
        assert (await who.http.post(f"/api/friends/{verb}", {"userId": whom.id})).status == 200
    await change(people["private"], settings={"privacy": "private"})
    await change(people["closed"], settings={"visibility": {"interests": "friends"}})
    assert (await ann.http.delete(f"/api/friends/suggestions/{people['dismissed'].id}")).status == 200

    kept = {row["user"]["id"] for row in (await suggestions(ann, limit=100)).data}

    assert kept & {person.id for person in people.values()} == {people["left"].id}
    assert set(await suggested(ann)) & {person.id for person in people.values()} == {people["left"].id}
    assert ann.id not in kept


async def test_nobody_learns_of_friends_through_somebody_who_hides_theirs(
    ann: Person, bob: Person, cyd: Person
) -> None:
    await ann.befriend(bob)
    await bob.befriend(cyd)
    assert cyd.id in await suggested(ann)

    await change(bob, settings={"visibility": {"friends": "private"}})

    assert cyd.id not in await suggested(ann)


async def test_pages_neither_skip_nor_repeat_while_the_list_is_made_anew(ann: Person, join: SignUp) -> None:
    hub, people = await join("hub"), [await join("one") for _ in range(7)]
    await ann.befriend(hub)
    for person in people:
        await hub.befriend(person)
    await suggested(ann)

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await suggestions(ann, limit=3, **cursor)).body
        seen += [row["user"]["id"] for row in page["data"]]
        if page["pagination"]["next_cursor"] is None:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
        await suggested(ann)

    assert sorted(seen) == sorted(person.id for person in people)
    assert page["pagination"]["total"] == 7
    second = (await suggestions(ann, limit=3, page=2)).data
    assert [row["user"]["id"] for row in second] == seen[3:6]


async def test_dismissing_has_bounds_and_tells_nothing(ann: Person, bob: Person) -> None:
    assert (await ann.http.delete(f"/api/friends/suggestions/{uuid.uuid4()}")).status == 404
    assert (await bob.http.post("/api/friends/block", {"userId": ann.id})).status == 200
    assert (await ann.http.delete(f"/api/friends/suggestions/{bob.id}")).status == 404
    assert (await ann.http.delete("/api/friends/suggestions/everybody")).status == 404


@pytest.mark.parametrize("params", [{"limit": 101}, {"page": 0}, {"cursor": "made-up"}, {"x": 1}])
async def test_a_list_of_suggestions_has_bounds(ann: Person, params: dict[str, Any]) -> None:
    assert (await ann.http.get("/api/friends/suggestions", params=params)).status == 422
