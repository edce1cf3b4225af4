"""Handles: changed now and then, kept for their owner for a while, and never two people's."""

import asyncio
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from common.clock import now
from documents.accounts import User
from documents.rows import rows
from tests.accounts import new_handle, new_person, post
from tests.clients import Person, Reply
from tests.conftest import Node, SignUp


async def call_oneself(person: Person, handle: str, url: str = "") -> Reply:
    return await person.http.patch(f"{url}/api/users/{person.id}/profile", {"handle": handle})


async def handle_of(person: Person) -> str:
    return (await person.http.get("/api/auth/me")).data["handle"]


async def time_passes(person: Person, **time: float) -> None:
    """As if everything about somebody's handle had happened so much earlier."""
    user = await User.find_by("_id", person.id)
    assert user is not None
    earlier = timedelta(**time)
    changes: dict[str, Any] = {
        "held_handles": [
            one.model_copy(update={"until": one.until - earlier}).model_dump() for one in user.held_handles
        ]
    }
    if user.handle_changed_at is not None:
        changes["handle_changed_at"] = user.handle_changed_at - earlier
    await rows(User).update_one({"_id": person.id}, {"$set": changes})


async def is_free(url: str, handle: str) -> bool:
    reply = await post(url, "/api/auth/signup", new_person(handle=handle))
    assert reply.status in {201, 409}
    return reply.status == 201


async def test_a_handle_given_up_is_nobody_elses_for_two_weeks(plaza: Node, ann: Person, bob: Person) -> None:
    old = ann.handle
    assert (await call_oneself(ann, new_handle())).status == 200

    for name in (old, old.upper()):
        assert (await call_oneself(bob, name)).code == "account_exists"
        assert not await is_free(plaza.url, name)
    await time_passes(ann, days=13, hours=23)
    assert (await call_oneself(bob, old)).code == "account_exists"
    await time_passes(ann, hours=2)

    assert (await call_oneself(bob, old)).status == 200
    assert await handle_of(bob) == old
    assert not await is_free(plaza.url, old)


async def test_who_signs_up_may_have_what_is_held_no_longer(plaza: Node, ann: Person) -> None:
    old = ann.handle
    await call_oneself(ann, new_handle())
    await time_passes(ann, days=15)
    assert await is_free(plaza.url, old)
    assert not await is_free(plaza.url, await handle_of(ann))


async def test_look_alikes_of_a_held_handle_are_held_too(plaza: Node, ann: Person, bob: Person) -> None:
    number = uuid.uuid4().int
    plain, drawn_the_same = f"scope{number}"[:30], f"\u0455\u0441\u043e\u0440\u0435{number}"[:30]
    await call_oneself(ann, plain)
    await time_passes(ann, days=8)
    await call_oneself(ann, new_handle())

    assert (await call_oneself(bob, drawn_the_same)).code == "account_exists"
    assert not await is_free(plaza.url, drawn_the_same)
    await time_passes(ann, days=15)
    assert (await call_oneself(bob, drawn_the_same)).status == 200


async def test_one_may_go_back_to_what_one_has_given_up(ann: Person) -> None:
    old, new = ann.handle, new_handle()
    await call_oneself(ann, new)
    assert (await call_oneself(ann, old)).code == "handle_changed_lately"
    await time_passes(ann, days=8)

    assert (await call_oneself(ann, old)).status == 200

    user = await User.find_by("_id", ann.id)
    assert user is not None
    assert [one.key for one in user.held_handles] == [new]
    assert sorted(user.handle_claims) == sorted(
        f"{kind}:{name}" for name in (old, new) for kind in ("key", "skeleton")
    )


async def test_of_all_who_want_a_handle_at_once_one_gets_it(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    wanted, people = new_handle(), [await join(f"p{n}") for n in range(6)]
    spellings = [wanted, wanted.upper(), wanted.capitalize()]

    replies = await asyncio.gather(
        *(call_oneself(one, spellings[n % 3], two_nodes[n % 2].url) for n, one in enumerate(people)),
        *(post(two_nodes[n % 2].url, "/api/auth/signup", new_person(handle=wanted)) for n in range(4)),
    )

    statuses = Counter("gets it" if reply.status < 300 else reply.code for reply in replies)
    assert statuses == {"gets it": 1, "account_exists": 9}
    assert await rows(User).count_documents({"handle_key": wanted}) == 1


async def test_nobody_slips_in_while_a_handle_changes_hands(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    for _ in range(5):
        ann, bob = await join("ann"), await join("bob")
        old, new = ann.handle, new_handle()

        _, taken = await asyncio.gather(
            call_oneself(ann, new, two_nodes[0].url), call_oneself(bob, old, two_nodes[1].url)
        )

        assert taken.code == "account_exists"
        assert await handle_of(ann) == new


async def test_a_handle_is_changed_once_however_often_at_once(
    ann: Person, two_nodes: tuple[Node, Node]
) -> None:
    wanted = [new_handle() for _ in range(6)]
    replies = await asyncio.gather(
        *(call_oneself(ann, name, two_nodes[n % 2].url) for n, name in enumerate(wanted))
    )
    assert Counter(reply.body.get("code", "changed") for reply in replies) == {
        "changed": 1,
        "handle_changed_lately": 5,
    }


async def test_another_spelling_is_free_at_any_time(ann: Person) -> None:
    for spelling in (ann.handle.upper(), ann.handle.capitalize(), ann.handle):
        assert (await call_oneself(ann, spelling)).status == 200
        assert await handle_of(ann) == spelling
    user = await User.find_by("_id", ann.id)
    assert user is not None
    assert (user.handle_changed_at, user.held_handles) == (None, [])


@pytest.mark.parametrize("handle", ["admin", "\u0430dmin", "Supp0rt", "m0derator", "plaza", "a.d.m.i.n"])
async def test_names_that_could_be_ours_are_nobodys(ann: Person, handle: str) -> None:
    reply = await call_oneself(ann, handle)
    assert reply.status == 422
    assert await handle_of(ann) == ann.handle


async def test_people_are_found_by_address_without_looking_at_everybody() -> None:
    where = {"email_key": {"$eq": "ann@example.org", "$type": "string"}}
    claimed = {"handle_claims": {"$in": ["key:ann"]}, "held_handles.until": {"$lte": now()}}
    for query in (where, claimed):
        plan = await rows(User).find(query).explain()
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
