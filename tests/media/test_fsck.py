"""`media fsck`: what is not as it should be is found, mended, and nothing else is touched."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from common.clock import now
from common.ids import new_id
from documents.media import Arriving, Media, UserImage
from documents.messages import Message
from documents.rows import rows
from realtime.features.media.schemas.showing import Census, Finding
from tests.clients import Person
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.media.corpus import picture, saved

PICTURE = saved(picture(900, 600), "JPEG")
LONG_AGO = now() - timedelta(hours=3)
PAST = {"$set": {"changed_at": LONG_AGO}}


@pytest.fixture
async def node(make_settings: MakeSettings, start_node: StartNode, tmp_path: Any) -> Node:
    """A node whose storages nobody else uses, so that all that is found is ours."""
    return await start_node(make_settings(data_dir=tmp_path, storage={"disk_from": 0}))


@pytest.fixture
async def owner(node: Node, join: SignUp) -> Person:
    return await join("ann", node.url)


async def uploaded(person: Person) -> Any:
    reply = await person.upload(PICTURE)
    assert reply.status == 201, reply.body
    return reply.data


async def check(node: Node, ids: set[str], **how: bool) -> tuple[list[Finding], Census]:
    """What is found about things of this test; the database has others, too."""
    found: list[Finding] = []
    census = await node.services.media.fsck.run(found.append, **how)
    return [one for one in found if any(part in one.about + one.detail for part in ids)], census


async def seen(person: Person, url: str) -> int:
    return (await person.http.get(url)).status


async def age() -> None:
    """Everything happened long ago."""
    await rows(Media).update_many({}, PAST)


async def test_what_is_whole_is_left_alone(node: Node, owner: Person) -> None:
    media = await uploaded(owner)
    await owner.http.patch(f"/api/users/{owner.id}/profile", {"avatar": media["id"]})
    await age()

    found, census = await check(node, {media["id"], owner.id}, repair=True, deep=True)

    assert found == []
    assert census.uploads["ready"] >= 1
    assert census.kept["disk"].files >= len(media["variants"]) + 1
    assert await seen(owner, media["url"]) == 200


async def test_an_upload_without_its_file_is_gone_and_without_a_variant_is_not(
    node: Node, owner: Person
) -> None:
    lost, scarred, altered = [await uploaded(owner) for _ in range(3)]
    disk = node.services.media.shelves.of("disk")
    documents = await Media.many([lost["id"], scarred["id"], altered["id"]])
    by_variant = {
        name: {file.variant: file for file in documents[media["id"]].files}
        for name, media in (("lost", lost), ("scarred", scarred), ("altered", altered))
    }
    await disk.delete(by_variant["lost"][""].key)
    await disk.delete(by_variant["scarred"]["thumb"].key)
    await disk.put(by_variant["altered"][""].key, _bytes(b"\0" * by_variant["altered"][""].size))
    await age()
    ids = {lost["id"], scarred["id"], altered["id"]}

    shallow, _ = await check(node, ids)
    deep, _ = await check(node, ids, deep=True)
    assert await seen(owner, lost["url"]) == 404
    mended, _ = await check(node, ids, deep=True, repair=True)

    assert {(one.kind, one.about, one.mended) for one in shallow} == {
        ("file", lost["id"], False),
        ("file", scarred["id"], False),
    }
    assert {one.about for one in deep} == ids
    assert all(one.mended for one in mended)
    assert (await check(node, ids, deep=True))[0] == []
    assert [await seen(owner, one["url"]) for one in (lost, scarred, altered)] == [404, 200, 404]
    assert await seen(owner, f"{scarred['url']}?variant=thumb") == 200, "another size takes its place"
    assert sorted(one["id"] for one in (await owner.http.get("/api/media")).data) == [scarred["id"]]


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_what_no_upload_tells_of_is_removed_when_it_is_old(
    node: Node, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    media, disk = await uploaded(owner), node.services.media.shelves.of("disk")
    grid = node.services.media.shelves.of("mongodb")
    document = (await Media.many([media["id"]]))[media["id"]]
    coming = Arriving(
        owner=owner.id, way="pieces", key="", folder=new_id(), expires_at=now() + timedelta(days=1)
    )
    coming.key = f"pieces/{coming.id}"
    await coming.add()
    stray, unknown = new_id(), f"backup-{uuid.uuid4().hex}/dump.gz"
    orphans = {f"media/{stray[:2]}/{stray}.jpg", f"pieces/{stray}/0-x", f"waiting/{stray}"}
    orphans.add(f"{document.folder}/large.webp")
    kept = {f"{coming.key}/000000000000-aa", unknown}
    for key in orphans | kept:
        await disk.put(key, _bytes(key.encode()))
    await grid.put(document.files[0].key, _bytes(b"left behind"))
    ids = {stray, media["id"], coming.id, unknown}

    young, _ = await check(node, ids, repair=True)
    await age()
    monkeypatch.setattr("realtime.features.media.service.fsck.orphans.GRACE", timedelta(seconds=-60))
    found, _ = await check(node, ids, repair=True)

    assert young == []
    assert {(one.kind, one.about) for one in found if one.mended} == {
        *(("orphan", key) for key in orphans),
        ("orphan", document.files[0].key),
    }
    assert [(one.kind, one.about) for one in found if not one.mended] == [("foreign", unknown)]
    assert {one.key async for one in disk.keys("") if one.key in orphans | kept} == kept
    assert await grid.find(document.files[0].key) is None
    assert await seen(owner, media["url"]) == 200


async def test_what_shows_an_upload_and_what_it_tells_are_made_to_agree(
    node: Node, owner: Person, join: SignUp
) -> None:
    bob, device = await join("bob", node.url), await owner.device()
    shown, deleted, forgotten, avatar, gone = [await uploaded(owner) for _ in range(5)]
    said = [
        await device.send("look", to=bob.id, mediaId=media["id"]) for media in (shown, deleted, forgotten)
    ]
    await owner.http.patch(f"/api/users/{owner.id}/profile", {"avatar": avatar["id"]})
    pictured = (await owner.upload(PICTURE, "/api/upload_user_image/", username=owner.handle)).body["image"]
    image = await UserImage.by_id(pictured["id"])
    assert image is not None
    await rows(Message).update_one({"_id": said[1]["id"]}, {"$set": {"media_url": None, "deleted_at": now()}})
    await rows(Media).update_one({"_id": forgotten["id"]}, {"$set": {"refs": []}})
    await rows(Media).update_one({"_id": shown["id"]}, {"$push": {"refs": f"avatar:{owner.id}"}})
    await rows(Media).update_one({"_id": gone["id"]}, {"$set": {"refs": [f"story:{new_id()}"]}})
    await rows(Media).update_one({"_id": image.media}, {"$set": {"state": "deleted"}})
    assert await seen(bob, shown["url"]) == 200
    assert await seen(bob, forgotten["url"]) == 404
    ids = {media["id"] for media in (shown, deleted, forgotten, avatar, gone)} | {image.media}

    young, _ = await check(node, ids)
    await age()
    found, _ = await check(node, ids, repair=True)
    again, _ = await check(node, ids)

    assert {one.about for one in young} == {f"message:{said[2]['id']}", f"avatar:{image.id}"}
    assert {(one.kind, one.about, one.mended) for one in found} == {
        ("ref", shown["id"], True),
        ("ref", deleted["id"], True),
        ("ref", gone["id"], False),
        ("thing", f"message:{said[2]['id']}", True),
        ("thing", f"avatar:{image.id}", True),
    }
    assert [one.about for one in again] == [gone["id"]]
    documents = await Media.many(ids)
    assert documents[shown["id"]].refs == [f"message:{said[0]['id']}"]
    assert documents[avatar["id"]].refs == [f"avatar:{owner.id}"]
    assert await seen(bob, forgotten["url"]) == 200
    assert (await owner.http.get(f"/api/user_images/{owner.handle}/")).body["images"] == []
