"""What somebody tries who means harm, or whose timing is bad."""

import asyncio

import aiohttp
import pytest

from common.ids import new_id
from tests.clients import Person, eventually
from tests.conftest import Node
from tests.media.corpus import picture, saved
from tests.media.films import film

PICTURE = saved(picture(300, 200), "PNG")
NAMES = [
    "../../etc/passwd",
    "a.png\r\nX-Injected: yes",
    "nul\0l.png",
    "photo\u202egnp.exe",
    "a.png.html",
    "\U0001f4f7" * 50,
    "x" * 5000,
    'quo"te;.png',
]


async def sent_as(person: Person, name: str) -> tuple[int, str]:
    """Upload a picture under a name as it is, without a client that would escape it."""
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + PICTURE + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = await person.http.ask("POST", "/api/upload", data=body, headers=headers)
    return reply.status, reply.body["data"]["id"] if reply.status == 201 else ""


@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
async def test_a_name_decides_nothing(ann: Person) -> None:
    answers = [await sent_as(ann, name) for name in NAMES]

    assert {status for status, _ in answers} <= {201, 400, 422}
    kept = [media_id for _, media_id in answers if media_id]
    assert len(kept) >= len(NAMES) - 3
    for media_id in kept:
        async with aiohttp.request(
            "GET",
            f"{ann.http.url}/api/media/{media_id}",
            headers={"Authorization": f"Bearer {ann.token}"},
        ) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"
            named = answer.headers["Content-Disposition"]
            assert named == f"inline; filename=\"{media_id}.jpg\"; filename*=UTF-8''{media_id}.jpg"
            assert "X-Injected" not in answer.headers


async def test_a_video_is_deleted_while_it_is_cut(
    plaza: Node, ann: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    device, shelves = await ann.device(), plaza.services.media.shelves
    media = (await ann.upload(film(path, seconds=2, size=(640, 360)).read_bytes())).data
    assert media["state"] == "processing"
    cutting = asyncio.create_task(device.wait_for("media_progress", seconds=30))
    await cutting

    assert (await ann.http.delete(media["url"])).status == 200
    assert (await ann.http.get(media["url"])).status == 404
    other = (await ann.upload(film(path, seconds=0.4).read_bytes())).data
    await device.wait_for("media_ready", lambda said: said["media"]["id"] == other["id"], 60)

    assert all(said["media"]["id"] == other["id"] for said in device.all("media_ready"))
    assert device.all("media_failed") == []
    assert [one["id"] for one in (await ann.http.get("/api/media")).data] == [other["id"]]

    async def is_all_gone() -> bool:
        left = [kept.key for one in shelves.all() async for kept in one.keys("media/")]
        return not any(media["id"] in key for key in left)

    await eventually(is_all_gone, 20)


async def test_an_address_to_upload_to_is_for_one_upload_only(ann: Person, bob: Person) -> None:
    asked = {"filename": "a.png", "content_type": "image/png", "size": str(len(PICTURE))}
    given = [(await ann.http.get("/api/upload/presigned-url", params=asked)).body for _ in range(2)]
    url, headers = given[0]["upload_url"], given[0]["headers"]

    async def put(address: str, body: bytes, **changes: str) -> int:
        return (await bob.http.ask("PUT", address, data=body, headers={**headers, **changes})).status

    signature = url.rpartition("=")[2]
    for altered in (
        url.replace(signature, given[1]["upload_url"].rpartition("=")[2]),
        url.replace(signature, signature[::-1]),
        url.replace(url.partition("direct/")[2][:36], new_id()),
    ):
        assert await put(altered, PICTURE) == 404
    assert await put(url, PICTURE + b"\0") == 413
    assert await put(url, PICTURE[:-1]) == 422
    assert await put(url, PICTURE, **{"Content-Type": "text/html"}) == 422
    assert await put(url, PICTURE) < 300
    assert (await bob.http.post("/api/upload/complete", {"key": given[0]["key"]})).status == 404
    kept = await ann.http.post("/api/upload/complete", {"key": given[0]["key"]})
    assert kept.status == 200, kept.body
    assert await put(url, PICTURE) in {404, 409}, "it has been used"
    assert (await ann.http.get(kept.body["url"])).status == 200


async def test_what_was_deleted_cannot_be_shown(ann: Person, bob: Person) -> None:
    media, device = (await ann.upload(PICTURE)).data, await ann.device()
    await ann.http.delete(media["url"])

    said = {"to": bob.id, "mediaId": media["id"], "clientId": new_id()}
    assert await device.refused("send_message", said) == "media_not_found"
    reply = await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": media["id"]})
    assert (reply.status, reply.code) == (404, "media_not_found")
    assert (await ann.http.delete(media["url"])).status == 404
