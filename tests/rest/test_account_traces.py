"""When somebody was erased, the whole database is read for them: only what the registry keeps is left."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from documents.accounts import User
from documents.database import DOCUMENTS
from documents.personal import HOLDINGS, Deletion
from documents.personal.holdings import Keep
from documents.rows import rows
from tests.accounts import log_in, post
from tests.clients import Device, Person, eventually, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode

LEAVE = "/api/account/deletion"
KEPT = {
    (holding.kind.__name__, path)
    for holding in HOLDINGS
    for path, end in holding.people.items()
    if isinstance(end, Keep)
}


@pytest.fixture
async def brief(start_node: StartNode, make_settings: MakeSettings) -> Node:
    """A node on which there is no time to think it over."""
    return await start_node(make_settings(personal={"deletion_grace": 0, "look_every": 0.1}))


def strings_in(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in a stored value, with where it stands; the names of fields as well."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}.{name}", str(name)
            yield from strings_in(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner, path)
    elif isinstance(value, bytes):
        yield path, value.decode(errors="replace")
    else:
        yield path, str(value)


async def everything() -> list[tuple[str, str, str]]:
    """Every text there is in the database: in which kind of document, where, and the text."""
    return [
        (kind.__name__, path, text)
        for kind in DOCUMENTS
        async for raw in rows(kind).find({})
        for path, text in strings_in(raw, "")
    ]


def is_among(places: set[tuple[str, str]], kind: str, path: str) -> bool:
    """Whether that is one of these places, or within one; `x.*` is every field of x."""
    return any(kind == one and f"{path}.".startswith(f"{at.removesuffix('.*')}.") for one, at in places)


async def traces_of(*needles: str) -> set[tuple[str, str]]:
    """Where any of these stands, but for what the registry keeps."""
    wanted = re.compile("|".join(map(re.escape, needles)), re.IGNORECASE)
    found = {(kind, path) for kind, path, text in await everything() if wanted.search(text)}
    return {one for one in found if not is_among(KEPT, *one)}


async def is_erased(person: Person) -> bool:
    return await rows(Deletion).count_documents({"user_id": person.id}) == 0 and (
        await rows(User).count_documents({"_id": person.id}) == 0
    )


async def leave(person: Person) -> None:
    reply = await person.http.post(LEAVE, {"password": person.password})
    assert reply.status == 200, reply.body


async def live_a_little(ann: Person, bob: Person, cyd: Person) -> list[str]:
    """Do everything that leaves something behind; the texts that were said."""
    words = [f"canary {new_key()}" for _ in range(6)]
    anns, bobs, cyds = [await person.device() for person in (ann, bob, cyd)]
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"bio": words[0], "name": words[1]})
    await ann.befriend(bob)
    assert (await ann.http.post("/api/friends/request", {"userId": cyd.id})).status == 200
    await _talk(anns, bobs, (ann, bob), words)
    await _gather_in_groups((ann, bob, cyd), anns, cyds, words)
    await cyd.http.post("/api/friends/block", {"userId": ann.id})
    await cyd.http.post("/api/friends/unblock", {"userId": ann.id})
    await ann.http.post("/api/friends/block", {"userId": cyd.id})
    await anns.call("presence_set", {"mode": "invisible"})
    await post(ann.http.url, "/api/auth/forgot-password", {"email": ann.email})
    await log_in(ann.http.url, ann.handle, "not the password")
    await ann.http.post("/api/devices", {"platform": "ios", "token": "ab" * 32})
    await ann.http.post("/api/account/export")
    for reporter, target in ((ann, bob), (bob, ann)):
        report = {"targetType": "user", "targetId": target.id, "reason": "spam", "text": "I say so"}
        assert (await reporter.http.post("/api/reports", report)).status < 300
    return words


async def _talk(anns: Device, bobs: Device, people: tuple[Person, Person], words: list[str]) -> None:
    ann, bob = people
    said = await anns.send(words[2], to=bob.id)
    heard = await bobs.send("an answer", to=ann.id)
    edited = await anns.send("not yet", to=bob.id)
    await anns.call("edit_message", {"messageId": edited["id"], "text": words[3]})
    for device, message in ((anns, heard), (bobs, said)):
        await device.call("react_message", {"messageId": message["id"], "emoji": "👍", "on": True})
        await device.call("mark_read", {"messageId": message["id"]})
    gone = await anns.send("soon gone", to=bob.id)
    await anns.call("delete_message", {"messageId": gone["id"]})


async def _gather_in_groups(
    people: tuple[Person, Person, Person], anns: Device, cyds: Device, words: list[str]
) -> None:
    """One group that is another's, one that is one's own, one that was left, and one without anybody else."""
    ann, bob, cyd = people
    groups = "/api/conversations"
    theirs = (await cyd.http.post(groups, {"name": "theirs", "memberIds": [ann.id, bob.id]})).data["id"]
    mine = (await ann.http.post(groups, {"name": "mine", "memberIds": [bob.id, cyd.id]})).data["id"]
    former = (await ann.http.post(groups, {"name": "former", "memberIds": [bob.id, cyd.id]})).data["id"]
    alone = (await ann.http.post(groups, {"name": words[5], "memberIds": []})).data["id"]
    asked = await cyds.send("who is there?", conversationId=former)
    await anns.call("react_message", {"messageId": asked["id"], "emoji": "🎉", "on": True})
    for group in (theirs, mine, former, alone):
        await anns.send(words[4], conversationId=group)
    await ann.http.post(f"{groups}/{mine}/members", {"userId": bob.id, "role": "admin"})
    assert (await ann.http.delete(f"{groups}/{former}/members/{ann.id}")).status == 200


async def test_nothing_is_left_of_who_was_erased(brief: Node, join: SignUp) -> None:
    ann, bob, cyd = [await join(name, brief.url) for name in ("ann", "bob", "cyd")]
    words = await live_a_little(ann, bob, cyd)
    assert {kind for kind, _ in await traces_of(ann.id)} >= {"User", "Message", "Update", "Friendship"}

    await leave(ann)
    await eventually(lambda: is_erased(ann), seconds=15)

    assert await traces_of(ann.id, ann.email, ann.handle, *words) == set()
    history = await bob.device()
    assert await history.call("sync", {"updates": 0})


async def test_ids_of_people_stand_only_where_the_registry_says(brief: Node, join: SignUp) -> None:
    ann, bob, cyd = [await join(name, brief.url) for name in ("ann", "bob", "cyd")]
    await live_a_little(ann, bob, cyd)
    declared = {(holding.kind.__name__, path) for holding in HOLDINGS for path in holding.people}

    found = await traces_of(ann.id, bob.id, cyd.id)

    assert {one for one in found if not is_among(declared, *one)} == set()


async def test_what_is_said_while_somebody_leaves_is_gone_as_well(brief: Node, join: SignUp) -> None:
    ann, bob = await join("ann", brief.url), await join("bob", brief.url)
    devices = [await ann.device() for _ in range(2)]
    word = f"canary {new_key()}"
    await devices[0].send(word, to=bob.id)

    async def talk(device: Device) -> None:
        while not device.closed.is_set():
            await asyncio.wait(
                [
                    asyncio.ensure_future(device.send(word, to=bob.id)),
                    asyncio.ensure_future(device.closed.wait()),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )

    talking = [asyncio.create_task(talk(device)) for device in devices]
    await leave(ann)
    await asyncio.gather(*talking, return_exceptions=True)
    await eventually(lambda: is_erased(ann), seconds=15)

    assert await traces_of(ann.id, word) == set()


async def test_of_two_who_talked_and_have_both_gone_nothing_is_left(brief: Node, join: SignUp) -> None:
    ann, bob = await join("ann", brief.url), await join("bob", brief.url)
    said = await (await ann.device()).send("hello", to=bob.id)

    await asyncio.gather(leave(ann), leave(bob))
    await eventually(lambda: is_erased(ann), seconds=15)
    await eventually(lambda: is_erased(bob), seconds=15)

    assert await traces_of(ann.id, bob.id, said["conversationId"]) == set()


async def test_the_log_of_others_keeps_its_places(brief: Node, join: SignUp) -> None:
    ann, bob = await join("ann", brief.url), await join("bob", brief.url)
    await ann.befriend(bob)
    await (await ann.device()).send("hello", to=bob.id)

    await leave(ann)
    await eventually(lambda: is_erased(ann), seconds=15)

    entries = (await (await bob.device()).call("sync", {"updates": 0}))["updates"]["entries"]
    assert [entry["pos"] for entry in entries] == list(range(1, len(entries) + 1))
    assert "entry_erased" in {entry["event"] for entry in entries}
    assert ann.id not in str(entries)
