"""The other doors for bytes: pieces on a bad line, the meetup app's pictures, the gallery app's images."""

import asyncio
from typing import Any

import aiohttp
import pytest

from common.engines import Engines
from common.engines.engines import S3_ACCESS_KEY, S3_SECRET_KEY
from common.ids import new_id
from documents.media import Arriving
from documents.rows import rows
from realtime.features.media import rules
from tests.clients import Person, Reply, eventually
from tests.conftest import MakeSettings, StartNode
from tests.media.conftest import open_s3, s3_engine  # noqa: F401  (a fixture)
from tests.media.corpus import picture, saved
from tests.staff import new_admin

PICTURE = saved(picture(900, 600), "PNG")
SMALL = saved(picture(40, 30), "PNG")
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


# -- in pieces


async def begin(person: Person, length: int, **headers: str) -> str:
    reply = await person.http.ask(
        "POST", "/api/uploads", headers={**TUS, "Upload-Length": str(length), **headers}
    )
    assert reply.status == 201, reply.body
    return reply.headers["Location"]


async def send(person: Person, path: str, offset: int, data: Any) -> Reply:
    return await person.http.ask("PATCH", path, data=data, headers={**PIECE, "Upload-Offset": str(offset)})


async def test_an_upload_comes_in_pieces(ann: Person) -> None:
    path = await begin(ann, len(PICTURE), **{"Upload-Metadata": "filename YS5wbmc="})

    replies = [
        await send(ann, path, start, PICTURE[start : start + 1000]) for start in range(0, len(PICTURE), 1000)
    ]

    assert {reply.status for reply in replies} == {204}
    assert [int(reply.headers["Upload-Offset"]) for reply in replies] == [
        min(start + 1000, len(PICTURE)) for start in range(0, len(PICTURE), 1000)
    ]

    head = await ann.http.ask("HEAD", path, headers=TUS)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == (str(len(PICTURE)),) * 2
    assert (head.headers["Upload-Metadata"], head.headers["Cache-Control"]) == (
        "filename YS5wbmc=",
        "no-store",
    )
    media = (await ann.http.get(path)).data["media"]
    assert replies[-1].headers["Content-Location"] == media["url"]
    assert (media["width"], media["height"]) == (900, 600)
    assert (await ann.http.get(media["url"])).status == 200


async def half_sent(person: Person, path: str, data: bytes) -> asyncio.StreamWriter:
    """A connection on which the first 2,000 bytes have been sent, and no more."""
    host, port = person.http.url.removeprefix("http://").split(":")
    headers = {
        **PIECE,
        "Host": "plaza",
        "Authorization": f"Bearer {person.token}",
        "Upload-Offset": "0",
        "Content-Length": str(len(data)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    _, line = await asyncio.open_connection(host, int(port))
    line.write(f"PATCH {path} HTTP/1.1\r\n{head}\r\n".encode() + data[:2000])
    await line.drain()
    return line


async def test_what_came_before_the_line_broke_counts(ann: Person) -> None:
    path = await begin(ann, len(PICTURE))

    patience = 1

    async def came_before_it_broke() -> bool:
        """Each time the line holds a little longer: what the server has not read when it breaks is lost."""
        nonlocal patience
        line = await half_sent(ann, path, PICTURE)
        for _ in range(patience):
            await ann.http.get(path)
        line.close()
        patience *= 2
        return (await ann.http.get(path)).data["offset"] > 0

    await eventually(came_before_it_broke, 20)
    offset = (await ann.http.get(path)).data["offset"]
    assert offset == 2000
    assert (await send(ann, path, offset, PICTURE[offset:])).status == 204
    assert (await ann.http.get(path)).data["media"]["width"] == 900


async def test_of_two_who_send_the_same_piece_one_is_told_where_to_go_on(ann: Person) -> None:
    path, half = await begin(ann, len(PICTURE)), len(PICTURE) // 2

    replies = await asyncio.gather(*(send(ann, path, 0, PICTURE[:half]) for _ in range(6)))

    assert sorted(reply.status for reply in replies) == [204] + [409] * 5
    assert {reply.code for reply in replies if reply.status == 409} == {"wrong_offset"}
    assert (await send(ann, path, half, PICTURE[half:])).status == 204
    assert (await ann.http.get(path)).data["media"] is not None


@pytest.mark.parametrize(
    ("offset", "data", "status", "code"),
    [
        (5, b"x", 409, "wrong_offset"),
        (0, b"x" * 20, 413, "too_large"),
    ],
)
async def test_a_piece_begins_where_the_last_one_ended_and_is_not_too_long(
    ann: Person, offset: int, data: bytes, status: int, code: str
) -> None:
    path = await begin(ann, 10)
    reply = await send(ann, path, offset, data)
    assert (reply.status, reply.code) == (status, code)


async def test_what_the_storage_did_not_take_is_tried_again(
    plaza: Any, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, shelves = await begin(ann, len(PICTURE)), plaza.services.media.shelves
    put = shelves.put

    async def down(kind: Any, key: str, chunks: Any) -> Any:
        if key.startswith("media/"):
            raise rules.StorageDown
        return await put(kind, key, chunks)

    with monkeypatch.context() as broken:
        broken.setattr(shelves, "put", down)
        assert (await send(ann, path, 0, PICTURE)).code == "storage_unavailable"

    assert (await send(ann, path, len(PICTURE), b"")).status == 204
    assert (await ann.http.get((await ann.http.get(path)).data["media"]["url"])).status == 200


async def test_what_was_kept_before_a_crash_is_not_kept_twice(ann: Person) -> None:
    path = await begin(ann, len(PICTURE))
    assert (await send(ann, path, 0, PICTURE)).status == 204
    media = (await ann.http.get(path)).data["media"]
    crashed = {"media": None, "busy_until": None}  # after the upload was kept, before that was noted
    await rows(Arriving).update_one({"_id": path.rpartition("/")[2]}, {"$set": crashed})

    assert (await send(ann, path, len(PICTURE), b"")).status == 204

    assert (await ann.http.get(path)).data["media"]["id"] == media["id"]
    assert len((await ann.http.get("/api/media")).data) == 1


async def test_no_more_are_under_way_than_may_whoever_begins_at_once(ann: Person) -> None:
    announced = {**TUS, "Upload-Length": "100"}
    replies = await asyncio.gather(
        *(ann.http.ask("POST", "/api/uploads", headers=announced) for _ in range(40))
    )
    assert sum(reply.status == 201 for reply in replies) <= 20
    assert {reply.code for reply in replies if reply.status != 201} == {"too_many_uploads"}


async def test_what_is_under_way_takes_room(
    make_settings: MakeSettings, start_node: StartNode, join: Any
) -> None:
    node = await start_node(make_settings(media={"room_bytes": 1000}))
    ann = await join("ann", node.url)
    await begin(ann, 600)

    reply = await ann.http.ask("POST", "/api/uploads", headers={**TUS, "Upload-Length": "600"})

    assert (reply.status, reply.code) == (413, "quota_exceeded")
    await begin(ann, 400)


async def test_pieces_that_make_no_image_are_refused_and_forgotten(ann: Person) -> None:
    path = await begin(ann, 10)
    reply = await send(ann, path, 0, b"0123456789")
    assert (reply.status, reply.code) == (415, "unsupported_type")
    assert (await ann.http.get(path)).status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 412),
        ({"Tus-Resumable": "0.2"}, 412),
        (TUS, 422),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": "filename ä"}, 422),
        ({**TUS, "Upload-Length": "-1"}, 422),
        ({**TUS, "Upload-Length": "1e3"}, 422),
        ({**TUS, "Upload-Length": "999999999999"}, 413),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "x" * 5000}, 422),
    ],
)
async def test_an_announcement_is_checked(ann: Person, headers: dict[str, str], status: int) -> None:
    assert (await ann.http.ask("POST", "/api/uploads", headers=headers)).status == status


async def test_an_upload_under_way_is_its_owners_and_can_be_given_up(ann: Person, bob: Person) -> None:
    path = await begin(ann, 10)
    await send(ann, path, 0, b"abc")

    assert (await bob.http.get(path)).status == 404
    assert (await send(bob, path, 3, b"x")).status == 404
    assert (await bob.http.ask("DELETE", path, headers=TUS)).status == 404
    assert (await ann.http.ask("DELETE", path, headers=TUS)).status == 204
    assert (await ann.http.get(path)).status == 404
    options = await ann.http.ask("OPTIONS", "/api/uploads")
    assert (options.status, options.headers["Tus-Version"]) == (204, "1.0.0")


# -- the meetup app


async def add_picture(person: Person, **fields: str) -> Any:
    reply = await person.upload(SMALL, "/api/upload_user_image/", username=person.handle, **fields)
    assert reply.status == 201, reply.body
    return reply.body["image"]


async def pictures_of(viewer: Person, person: Person) -> list[Any]:
    reply = await viewer.http.get(f"/api/user_images/{person.handle}/")
    assert reply.status == 200, reply.body
    assert reply.body["count"] == len(reply.body["images"])
    return reply.body["images"]


async def test_p04_a_picture_of_oneself(ann: Person, bob: Person) -> None:
    image = await add_picture(ann, image_type="profile", caption="me", is_primary="true")

    assert (image["caption"], image["image_type"], image["is_primary"]) == ("me", "profile", True)
    assert (image["width"], image["height"], image["mime_type"]) == (40, 30, "image/jpeg")
    assert await pictures_of(bob, ann) == [image]
    bob.http.token = None
    served = await bob.http.get(image["url"])
    assert (served.status, served.headers["Content-Type"]) == (200, "image/jpeg")
    assert int(served.headers["Content-Length"]) == image["size_bytes"]


async def test_p06_exactly_one_is_primary_always(ann: Person) -> None:
    first = await add_picture(ann)
    images = await asyncio.gather(*(add_picture(ann, is_primary="true") for _ in range(5)))

    assert [one["is_primary"] for one in await pictures_of(ann, ann)].count(True) == 1
    await asyncio.gather(
        *(ann.http.post(f"/api/user_image/{one['id']}/set_primary/") for one in [first, *images])
    )
    shown = await pictures_of(ann, ann)
    assert [one["is_primary"] for one in shown].count(True) == 1
    for number in range(len(shown), 1, -1):
        primary = next(one for one in await pictures_of(ann, ann) if one["is_primary"])
        reply = await ann.http.delete(f"/api/user_image/{primary['id']}/delete/")
        assert reply.status == 200
        left = await pictures_of(ann, ann)
        assert (len(left), [one["is_primary"] for one in left].count(True)) == (number - 1, 1)
    (last,) = await pictures_of(ann, ann)
    assert (await ann.http.post(f"/api/user_image/{last['id']}/delete/")).status == 200
    assert await pictures_of(ann, ann) == []
    assert (await ann.http.get(last["url"])).status == 404


async def test_pictures_are_their_owners_to_change(ann: Person, bob: Person) -> None:
    image = await add_picture(ann)

    for path in ("set_primary", "delete"):
        reply = await bob.http.post(f"/api/user_image/{image['id']}/{path}/")
        assert (reply.status, reply.code) == (404, "image_not_found")
    as_ann = await bob.upload(SMALL, "/api/upload_user_image/", username=ann.handle)
    assert (as_ann.status, as_ann.code) == (403, "wrong_actor")
    assert await pictures_of(bob, bob) == []


@pytest.mark.parametrize(
    "fields", [{}, {"image_type": "selfie"}, {"caption": "x" * 256}, {"is_primary": "perhaps"}]
)
async def test_a_pictures_fields_are_checked(ann: Person, fields: dict[str, str]) -> None:
    given = {"username": ann.handle, **fields} if fields else {}
    reply = await ann.upload(SMALL, "/api/upload_user_image/", **given)
    assert reply.status == 422, reply.body


async def test_the_gallery_is_for_whom_privacy_shows_it_to(ann: Person, bob: Person, cyd: Person) -> None:
    face, holiday = await add_picture(ann), await add_picture(ann, image_type="gallery")
    await ann.befriend(cyd)
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"settings": {"privacy": "friends"}})

    assert [one["id"] for one in await pictures_of(bob, ann)] == [face["id"]]
    assert [one["id"] for one in await pictures_of(cyd, ann)] == [holiday["id"], face["id"]]
    assert (await bob.http.get(holiday["url"])).status == 404
    assert (await cyd.http.get(holiday["url"])).status == 200
    await ann.http.post("/api/friends/block", {"userId": bob.id})
    assert (await bob.http.get(f"/api/user_images/{ann.handle}/")).status == 404
    both = await bob.http.post(
        "/api/multiple_user_images/", {"usernames": [ann.handle, bob.handle, "nobody"]}
    )
    assert both.body["images"] == {ann.handle: [], bob.handle: [], "nobody": []}
    both = await cyd.http.post("/api/multiple_user_images/", {"usernames": [ann.handle]})
    assert [one["id"] for one in both.body["images"][ann.handle]] == [holiday["id"], face["id"]]


async def test_only_images_are_pictures(ann: Person) -> None:
    video = b"\0\0\0\x18ftypisom" + b"\0" * 100
    reply = await ann.upload(video, "/api/upload_user_image/", username=ann.handle)
    assert (reply.status, reply.code) == (415, "unsupported_type")


# -- the gallery app


async def upload_image(person: Person, **fields: str) -> Reply:
    form = aiohttp.FormData()
    form.add_field("file", SMALL, filename="a.png")
    for name, value in fields.items():
        form.add_field(name, value)
    return await person.http.ask("POST", "/api/upload/image", data=form)


async def test_g21_an_image_has_a_key_that_says_what_and_when(ann: Person) -> None:
    reply = await upload_image(ann, category="Dresses")

    assert reply.status == 201, reply.body
    category, year, month, name = reply.body["key"].split("/")
    assert (category, len(year), len(month)) == ("dresses", 4, 2)
    assert name.endswith(".jpg")
    assert (await ann.http.get(reply.body["url"])).status == 200
    listed = await ann.http.get("/api/upload/images")
    assert [one["key"] for one in listed.data] == [reply.body["key"]]
    assert (await upload_image(ann, category="../etc")).status == 422


async def test_g23_an_image_is_deleted_by_its_key(plaza: Any, ann: Person, bob: Person) -> None:
    mine, other = (await upload_image(ann)).body["key"], (await upload_image(ann)).body["key"]
    admin = await new_admin(plaza)

    assert (await bob.http.delete(f"/api/upload/image/{mine}")).status == 404
    assert (await ann.http.delete(f"/api/upload/image/{mine}")).status == 200
    assert (await ann.http.delete(f"/api/upload/image/{mine}")).status == 404
    assert other in [one["key"] for one in (await admin.http.get("/api/upload/images?limit=100")).data]
    assert (await admin.http.delete(f"/api/upload/image/{other}")).status == 200
    noted = (await admin.http.get("/api/admin/audit", params={"target": ann.id})).data
    assert [(row["actor"], row["action"]) for row in noted] == [(admin.id, "upload_deleted")]
    await admin.leave()


async def presigned(person: Person, **query: Any) -> Any:
    asked = {"filename": "a.png", "content_type": "image/png", "category": "dresses", **query}
    reply = await person.http.get("/api/upload/presigned-url", params=asked)
    assert reply.status == 200, reply.body
    return reply.data


async def put(person: Person, direct: Any, body: bytes, **headers: str) -> int:
    url = (
        direct["upload_url"]
        if direct["upload_url"].startswith("http")
        else person.http.url + direct["upload_url"]
    )
    async with (
        aiohttp.ClientSession() as http,
        http.put(url, data=body, headers={**direct["headers"], **headers}) as answer,
    ):
        return answer.status


async def test_g22_an_image_goes_straight_to_where_it_is_kept(ann: Person, bob: Person) -> None:
    direct = await presigned(ann, size=len(SMALL))
    assert (await ann.http.post("/api/upload/complete", {"key": direct["key"]})).code == "not_arrived"

    assert await put(ann, direct, SMALL, **{"Content-Type": "text/html"}) == 422
    assert await put(ann, direct, SMALL + b"x") in {413, 422}
    assert await put(ann, direct, SMALL[:-1]) == 422
    assert await put(ann, direct, SMALL) == 200
    assert await put(ann, direct, SMALL) == 404
    assert (await bob.http.post("/api/upload/complete", {"key": direct["key"]})).status == 404
    replies = await asyncio.gather(
        *(ann.http.post("/api/upload/complete", {"key": direct["key"]}) for _ in range(5))
    )

    done = [reply for reply in replies if reply.status == 200]
    assert done
    assert {reply.body["url"] for reply in done} == {done[0].body["url"]}
    assert {reply.code for reply in replies if reply.status != 200} <= {"upload_being_finished"}
    assert len((await ann.http.get("/api/upload/images")).data) == 1
    assert (await ann.http.get(done[0].body["url"])).status == 200


async def test_g22_completing_again_answers_the_same(ann: Person) -> None:
    direct = await presigned(ann, size=len(SMALL))
    assert await put(ann, direct, SMALL) == 200

    replies = [await ann.http.post("/api/upload/complete", {"key": direct["key"]}) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].body["url"] == replies[1].body["url"]


@pytest.mark.parametrize("signature", ["%C3%A9", "%ED%A0%80", "0"])
async def test_g22_nobody_makes_up_an_address(ann: Person, signature: str) -> None:
    url = f"/api/upload/direct/{new_id()}?signature={signature}"
    reply = await ann.http.ask("PUT", url, data=b"x", headers={"Content-Type": "image/png"})
    assert (reply.status, reply.code) == (404, "upload_not_found")


async def test_g22_what_arrives_is_looked_at(ann: Person) -> None:
    direct = await presigned(ann)
    assert await put(ann, direct, b"<script>alert(1)</script>") == 200

    reply = await ann.http.post("/api/upload/complete", {"key": direct["key"]})

    assert (reply.status, reply.code) == (415, "unsupported_type")
    assert (await ann.http.post("/api/upload/complete", {"key": direct["key"]})).status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"content_type": "text/html"}, 415),
        ({"size": 10**9}, 413),
        ({"size": 0}, 422),
        ({"category": "a/b"}, 422),
        ({"filename": ""}, 422),
    ],
)
async def test_what_may_not_be_uploaded_gets_no_address(
    ann: Person, query: dict[str, Any], status: int
) -> None:
    asked = {"filename": "a.png", "content_type": "image/png", **query}
    assert (await ann.http.get("/api/upload/presigned-url", params=asked)).status == status


async def test_everything_works_on_an_object_store(
    make_settings: MakeSettings,
    start_node: StartNode,
    join: Any,
    s3_engine: Engines,  # noqa: F811
) -> None:
    store = await open_s3(s3_engine.s3_url, "plaza-media")
    storage = {
        "s3_bucket": "plaza-media",
        "s3_url": s3_engine.s3_url,
        "s3_access_key": S3_ACCESS_KEY,
        "s3_secret_key": S3_SECRET_KEY,
    }
    node = await start_node(make_settings(storage=storage))
    ann = await join("ann", node.url)

    media = (await ann.upload(PICTURE)).data
    direct = await presigned(ann, size=len(SMALL))
    assert direct["upload_url"].startswith(s3_engine.s3_url)
    assert await put(ann, direct, SMALL) == 200
    kept = await ann.http.post("/api/upload/complete", {"key": direct["key"]})

    assert media["storage_type"] == "s3"
    assert kept.status == 200, kept.body
    for url in (media["url"], kept.body["url"]):
        assert (await ann.http.get(url)).status == 200
        assert (await ann.http.get(url, headers={"Range": "bytes=0-9"})).status == 206
    assert (await ann.http.delete(media["url"])).status == 200
    stem = kept.body["key"].rpartition(".")[0]
    assert [one.key async for one in store.keys("") if not one.key.startswith(stem)] == []
    await store.close()
