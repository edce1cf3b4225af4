"""A copy of what is stored about oneself: all of it, nothing of others, once, from any node, for a while."""

import asyncio
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from common.clock import now
from common.ids import new_id
from documents.personal import HOLDINGS, PART, Export, ExportPart
from documents.rows import rows
from realtime.features.notifications.schemas import Note
from tests.accounts import post
from tests.clients import Person, eventually, new_key
from tests.conftest import MakeSettings, Node, SignUp, StartNode

COPY = "/api/account/export"


async def is_ready(person: Person) -> bool:
    return (await person.http.get(COPY)).data["state"] == "ready"


async def fetch(person: Person, url: str | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {person.token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url or person.http.url}{COPY}/download", headers=headers) as reply,
    ):
        assert reply.status == 200, await reply.text()
        assert reply.headers["Content-Type"] == "application/zip"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Content-Disposition"].startswith('attachment; filename="plaza-')
        body = await reply.read()
        assert len(body) == int(reply.headers["Content-Length"])
        return body


def unpacked(archive: bytes) -> dict[str, Any]:
    """The files of a copy, each checked against its sum."""
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert found.testzip() is None
        return {name: json.loads(found.read(name)) for name in found.namelist()}


async def copy_of(person: Person) -> dict[str, Any]:
    assert (await person.http.post(COPY)).status == 202
    await eventually(lambda: is_ready(person))
    return unpacked(await fetch(person))


async def test_a_copy_holds_what_somebody_did_and_nothing_that_others_said(ann: Person, bob: Person) -> None:
    await ann.befriend(bob)
    anns, bobs = await ann.device(), await bob.device()
    mine = await anns.send("a word of mine", to=bob.id)
    theirs = await bobs.send("a secret of bob", to=ann.id)
    await anns.call("react_message", {"messageId": theirs["id"], "emoji": "👍", "on": True})
    await anns.call("react_message", {"messageId": mine["id"], "emoji": "👍", "on": True})
    await anns.call("react_message", {"messageId": mine["id"], "emoji": "👍", "on": False})
    await bob.http.post("/api/reports", {"targetType": "user", "targetId": ann.id, "reason": "spam"})

    found = await copy_of(ann)

    assert [row["email"] for row in found["profile.json"]] == [ann.email]
    assert [(row["id"], row["text"]) for row in found["messages.json"]] == [(mine["id"], "a word of mine")]
    assert [(row["message"], row["emojis"]) for row in found["reactions.json"]] == [(theirs["id"], ["👍"])]
    assert [(row["user_id"], row["state"]) for row in found["friendships.json"]] == [(bob.id, "accepted")]
    assert [row["conversation"] for row in found["memberships.json"]] == [mine["conversationId"]]
    assert [row["id"] for row in found["conversations.json"]] == [mine["conversationId"]]
    text = json.dumps(found)
    for secret in ("a secret of bob", bob.email, bob.handle, "password_hash", "refresh_hash", "spam"):
        assert secret not in text, secret


async def test_a_copy_tells_nothing_of_those_who_are_absent_for_somebody(
    plaza: Node, ann: Person, bob: Person, cyd: Person
) -> None:
    for other in (bob, cyd):
        liked = Note("post_like", other.id, f"{other.handle} likes your post.", actor_id=other.id)
        await plaza.services.notifications.notify(ann.id, liked)
    await bob.http.post("/api/friends/block", {"userId": ann.id})

    found = await copy_of(ann)

    assert [row["text"] for row in found["notifications.json"]] == [f"{cyd.handle} likes your post."]
    assert bob.id not in json.dumps(found)


async def test_a_copy_has_a_file_for_every_kind_of_document_and_says_how_long_each_is(ann: Person) -> None:
    found = await copy_of(ann)

    manifest = found.pop("manifest.json")
    assert manifest["user_id"] == ann.id
    assert manifest["files"] == {name: len(content) for name, content in found.items()}
    assert set(found) == {f"{copy.file}.json" for holding in HOLDINGS for copy in holding.copies}


async def test_asking_a_hundred_times_makes_one_copy(ann: Person) -> None:
    replies = await asyncio.gather(*(ann.http.post(COPY) for _ in range(100)))
    await eventually(lambda: is_ready(ann))
    again = await ann.http.post(COPY)

    assert {reply.status for reply in replies} == {202}
    assert {reply.data["askedAt"] for reply in (*replies, again)} == {replies[0].data["askedAt"]}
    export = await Export.of(ann.id)
    assert export is not None
    assert export.attempts == 1
    assert await rows(ExportPart).count_documents({"user_id": ann.id}) == export.parts == 1


async def test_a_newer_copy_takes_the_place_of_an_old_one(
    start_node: StartNode, make_settings: MakeSettings, join: SignUp
) -> None:
    node = await start_node(make_settings(personal={"export_every": 0}))
    ann = await join("ann", node.url)
    await copy_of(ann)
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"bio": "changed since"})

    found = await copy_of(ann)

    assert found["profile.json"][0]["bio"] == "changed since"
    assert await rows(ExportPart).count_documents({"user_id": ann.id}) == 1


async def test_nobody_gets_the_copy_of_another(ann: Person, bob: Person) -> None:
    await copy_of(ann)

    assert (await bob.http.get(COPY)).code == "no_export"
    assert (await bob.http.get(f"{COPY}/download")).code == "no_export"
    assert (await post(ann.http.url, COPY)).status == 401


async def test_a_copy_that_is_not_ready_is_not_given_out(ann: Person) -> None:
    await rows(Export).insert_one(
        {
            "_id": ann.id,
            **Export(id=ann.id, leased_until=now() + timedelta(minutes=1)).model_dump(exclude={"id"}),
        }
    )

    reply = await ann.http.get(f"{COPY}/download")

    assert (reply.status, reply.code) == (409, "export_not_ready")
    assert (await ann.http.get(COPY)).data["state"] == "building"


async def test_a_copy_expires(start_node: StartNode, make_settings: MakeSettings, join: SignUp) -> None:
    node = await start_node(make_settings(personal={"export_lifetime": 0.001}))
    ann = await join("ann", node.url)
    await ann.http.post(COPY)

    await eventually(lambda: _is_gone(ann))
    assert (await ann.http.get(f"{COPY}/download")).code == "no_export"


async def _is_gone(person: Person) -> bool:
    return (await person.http.get(COPY)).status == 404


async def test_a_large_copy_comes_in_parts_and_is_read_from_any_node(
    two_nodes: tuple[Node, Node], join: SignUp
) -> None:
    one, other = two_nodes
    ann, bob = await join("ann", one.url), await join("bob", one.url)
    device = await ann.device()
    texts = ["".join(new_key() for _ in range(100)) for _ in range(200)]
    for some in (texts[:100], texts[100:]):
        await asyncio.gather(*(device.send(text, to=bob.id) for text in some))

    assert (await ann.http.post(f"{one.url}{COPY}")).status == 202
    await eventually(lambda: is_ready(ann))
    archive = await fetch(ann, other.url)

    assert len(archive) > PART
    assert sorted(row["text"] for row in unpacked(archive)["messages.json"]) == sorted(texts)


async def test_another_node_makes_the_copy_when_one_dies_over_it(
    start_node: StartNode, make_settings: MakeSettings, ann: Person
) -> None:
    dead = Export(id=ann.id, archive=new_id(), attempts=1, leased_until=now() + timedelta(seconds=0.5))
    await rows(Export).insert_one({"_id": ann.id, **dead.model_dump(exclude={"id", "revision_id"})})
    await ExportPart.add(dead, 0, b"half of an archive", now() + timedelta(minutes=1))

    await start_node(make_settings(personal={"look_every": 0.1}))

    await eventually(lambda: is_ready(ann))
    assert unpacked(await fetch(ann))["profile.json"][0]["id"] == ann.id
    assert await rows(ExportPart).count_documents({"archive": dead.archive}) == 0
    assert not await dead.finish(1, 18, now() + timedelta(minutes=1))


async def test_a_copy_that_fails_again_and_again_says_so(
    start_node: StartNode, make_settings: MakeSettings, join: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ConnectionError("as if the database had gone")

    node = await start_node(make_settings(personal={"look_every": 0.05}))
    ann = await join("ann", node.url)
    monkeypatch.setattr(ExportPart, "add", fail)
    await ann.http.post(COPY)

    await eventually(lambda: _has_failed(ann))
    monkeypatch.undo()
    assert await copy_of(ann)


async def _has_failed(person: Person) -> bool:
    return (await person.http.get(COPY)).data["state"] == "failed"
