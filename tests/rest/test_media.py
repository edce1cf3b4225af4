"""Uploads by HTTP: taken in, shown to whom they are meant for, and gone when they are deleted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from common.ids import new_id
from documents.media import Media
from documents.rows import rows
from tests.clients import Person, Reply, eventually
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.media.corpus import CANARY, REFUSED, STRANGE, picture, saved, with_secrets
from tests.media.films import film
from tests.staff import act, new_admin

PICTURE = saved(picture(900, 600), "JPEG")


async def raw(person: Person, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
    """An answer as it comes."""
    given = {"Authorization": f"Bearer {person.http.token}"} if person.http.token else {}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, person.http.url + path, headers={**given, **headers}) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


# -- coming in


async def test_l28_an_image_is_made_anew_and_kept(ann: Person) -> None:
    reply = await ann.upload(with_secrets("JPEG"))

    assert reply.status == 201
    data = reply.data
    top = {name: reply.body[name] for name in ("url", "filename", "content_type", "size", "storage_type")}
    assert top == {name: data[name] for name in top}
    assert (data["url"], data["filename"]) == (f"/api/media/{data['id']}", f"{data['id']}.jpg")
    assert (data["content_type"], data["storage_type"]) == ("image/jpeg", "mongodb")
    assert (data["width"], data["height"], data["duration"]) == (300, 400, None)
    assert data["variants"] == {"thumb": f"{data['url']}?variant=thumb"}
    status, body, headers = await raw(ann, data["url"])
    assert (status, len(body), headers["Content-Type"]) == (200, data["size"], "image/jpeg")
    assert hashlib.sha256(body).hexdigest() == data["sha256"]
    assert CANARY not in body


async def test_a_large_file_goes_to_disk(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(storage={"disk_from": 30_000}))
    ann, noise = await join("ann", node.url), Image.effect_noise((400, 400), 120)

    for image, where in ((picture(400, 400), "mongodb"), (noise, "disk")):
        reply = await ann.upload(saved(image, "PNG"))
        assert reply.status == 201, reply.body
        status, body, _ = await raw(ann, reply.data["url"])
        assert (status, hashlib.sha256(body).hexdigest()) == (200, reply.data["sha256"])
        assert (reply.data["storage_type"], len(body) >= 30_000) == (where, where == "disk")


async def test_what_is_not_accepted_is_refused(ann: Person) -> None:
    for name, make in STRANGE.items():
        reply = await ann.upload(make())
        assert (reply.status, reply.code) == (415, "unsupported_type"), name


async def test_what_wants_to_hurt_is_refused(ann: Person) -> None:
    for name, (make, code) in REFUSED.items():
        reply = await ann.upload(make())
        assert (reply.status, reply.code) == (422, code), name


async def test_nothing_is_left_of_what_was_refused(ann: Person) -> None:
    await ann.upload(b"\xff\xd8\xff\xe0<html>")
    await ann.upload(b"%PDF")
    assert (await ann.http.get("/api/media")).data == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ([("file", PICTURE, "a"), ("file", PICTURE, "b")], 422, "invalid_payload"),
        ([("other", PICTURE, "a")], 422, "invalid_payload"),
        ([("note", "no file", None)], 422, "invalid_payload"),
        ([(f"f{number}", "x", None) for number in range(40)], 400, "broken_body"),
        ([("note", "x" * 20_000, None), ("file", PICTURE, "a")], 422, "invalid_payload"),
        ([], 422, "invalid_payload"),
    ],
    ids=["two files", "another name", "no file", "many fields", "a long field", "nothing"],
)
async def test_a_form_is_one_file(
    ann: Person, fields: list[tuple[str, Any, str | None]], status: int, code: str
) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value, filename in fields:
        form.add_field(name, value, filename=filename)
    reply = await ann.http.ask("POST", "/api/upload", data=form)
    assert (reply.status, reply.code) == (status, code)


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({"Content-Type": "multipart/mixed; boundary=x"}, b"--x\r\n\r\nabc\r\n--x--\r\n", 415),
        ({"Content-Type": "multipart/form-data"}, b"x", 400),
        (FORM, b"no boundary at all", 400),
        (FORM, PART + b"\r\nabc", 400),
        (FORM, PART + b"Content-Transfer-Encoding: base64\r\n\r\nR0lG\r\n--x--\r\n", 400),
        (FORM, PART + b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n", 400),
        (FORM, b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n\xff\r\n--x--\r\n', 422),
        (FORM, PART.replace(b'"file"', b'"fil\xff"') + b"\r\nabc\r\n--x--\r\n", 400),
        (FORM, b"--x\r\nX: " + b"y" * 100_000 + b"\r\n\r\nabc\r\n--x--\r\n", 400),
    ],
    ids=[
        "json",
        "mixed",
        "no boundary",
        "another",
        "breaks off",
        "base64",
        "nested",
        "no text",
        "a name",
        "a header",
    ],
)
async def test_what_is_no_form_is_refused(
    ann: Person, headers: dict[str, str], body: bytes, status: int
) -> None:
    reply = await ann.http.ask("POST", "/api/upload", data=body, headers=headers)
    assert reply.status == status, reply.body


async def test_an_upload_needs_somebody(ann: Person) -> None:
    ann.http.token = None
    assert (await ann.upload(PICTURE)).status == 401


async def test_too_much_is_refused_while_it_streams(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(media={"upload_bytes": 200_000}))
    ann = await join("ann", node.url)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + PICTURE[:1000]
        while sent < 100_000_000:
            sent += 65_536
            yield b"\0" * 65_536

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        reply = await ann.http.ask("POST", "/api/upload", data=endless(), headers=headers)
        assert (reply.status, reply.code) == (413, "too_large")
    except aiohttp.ClientError:
        pass  # the answer may be overtaken by the end of the connection, while we are still writing
    assert sent < 20_000_000
    announced = await ann.upload(PICTURE + b"\0" * 400_000)
    assert (announced.status, announced.code) == (413, "too_large")
    exact = PICTURE + b"\0" * (200_000 - len(PICTURE))
    assert (await ann.upload(exact)).status == 201
    assert (await ann.upload(exact + b"\0")).status == 413


async def test_who_dawdles_is_cut_off(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(media={"idle": 0.4}))
    ann, over = await join("ann", node.url), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while not over.is_set():
            yield b"\xff"
            await asyncio.sleep(0.05)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        reply = await ann.http.ask("POST", "/api/upload", data=slow(), headers=headers)
    finally:
        over.set()
    assert (reply.status, reply.code) == (408, "upload_stalled")


async def test_everybody_has_so_much_room_and_no_more(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(media={"room_count": 3}))
    ann, bob = await join("ann", node.url), await join("bob", node.url)

    replies = await asyncio.gather(*(ann.upload(PICTURE) for _ in range(6)))

    kept = [reply for reply in replies if reply.status == 201]
    assert len(kept) <= 3
    assert {(reply.status, reply.code) for reply in replies if reply not in kept} <= {(413, "quota_exceeded")}
    while (reply := await ann.upload(PICTURE)).status == 201:
        kept.append(reply)
    assert len(kept) == 3
    assert (await bob.upload(PICTURE)).status == 201
    await ann.http.delete(kept[0].data["url"])
    assert (await ann.upload(PICTURE)).status == 201


async def test_uploads_have_a_budget_of_their_own(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(limits={"uploads_per_minute": 2}))
    ann = await join("ann", node.url)

    replies = [await ann.upload(PICTURE) for _ in range(3)]

    assert [reply.status for reply in replies] == [201, 201, 429]
    assert "Retry-After" in replies[-1].headers
    assert (await ann.http.get("/api/media")).status == 200


# -- being shown


async def uploaded(person: Person, data: bytes = PICTURE) -> Any:
    reply = await person.upload(data)
    assert reply.status == 201, reply.body
    return reply.data


@pytest.mark.parametrize("disk_from", [10**9, 0], ids=["database", "disk"])
async def test_l29_parts_are_sent_as_asked(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp, disk_from: int
) -> None:
    node = await start_node(make_settings(storage={"disk_from": disk_from}))
    ann = await join("ann", node.url)
    media = await uploaded(ann)
    assert media["storage_type"] == ("disk" if disk_from == 0 else "mongodb")
    _, whole, headers = await raw(ann, media["url"])
    size, tag = len(whole), headers["ETag"]

    for given, part in (
        ("bytes=0-0", whole[:1]),
        ("bytes=0-", whole),
        ("bytes=100-199", whole[100:200]),
        (f"bytes={size - 1}-", whole[-1:]),
        ("bytes=-10", whole[-10:]),
        (f"bytes=-{size * 2}", whole),
        (f"bytes=5-{size * 2}", whole[5:]),
    ):
        status, body, headers = await raw(ann, media["url"], Range=given)
        assert (status, body) == (206, part), given
        start = size - len(part) if given.startswith("bytes=-") else int(given[6:].partition("-")[0])
        assert headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{size}"
        assert headers["Content-Length"] == str(len(part))
    for given in ("bytes=5-1", "bytes=a-b", "pages=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=0-" + "9" * 80):
        status, body, _ = await raw(ann, media["url"], Range=given)
        assert (status, body) == (200, whole), given
    for given in (f"bytes={size}-", "bytes=-0"):
        status, _, headers = await raw(ann, media["url"], Range=given)
        assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
    assert (await raw(ann, media["url"], Range="bytes=0-9", **{"If-Range": tag}))[:2] == (206, whole[:10])
    assert (await raw(ann, media["url"], Range="bytes=0-9", **{"If-Range": '"other"'}))[:2] == (200, whole)
    status, body, headers = await raw(ann, media["url"], "HEAD", Range="bytes=0-9")
    assert (status, body, headers["Content-Length"]) == (206, b"", "10")


async def test_what_a_client_has_is_not_sent_again(ann: Person) -> None:
    media = await uploaded(ann)
    _, _, headers = await raw(ann, media["url"])
    tag = headers["ETag"]

    for given in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        status, body, headers = await raw(ann, media["url"], **{"If-None-Match": given})
        assert (status, body, headers["ETag"]) == (304, b"", tag)
    assert (await raw(ann, media["url"], **{"If-None-Match": '"x"'}))[0] == 200


async def test_a_file_by_itself_can_do_nothing(ann: Person) -> None:
    media = await uploaded(ann)

    _, _, headers = await raw(ann, media["url"])

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["Content-Disposition"].startswith(f'inline; filename="{media["filename"]}"')
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Accept-Ranges"] == "bytes"


async def test_variants_are_chosen_by_size_and_by_what_the_client_takes(ann: Person) -> None:
    media = await uploaded(ann)

    async def shown(query: str, accept: str = "*/*") -> tuple[str, tuple[int, int]]:
        _, body, headers = await raw(ann, media["url"] + query, Accept=accept)
        assert "Accept" in headers["Vary"]
        return headers["Content-Type"], Image.open(BytesIO(body)).size

    assert await shown("") == ("image/jpeg", (900, 600))
    assert await shown("?variant=thumb") == ("image/webp", (256, 171))
    assert await shown("?variant=small", "image/avif,image/webp") == ("image/avif", (640, 427))
    assert await shown("?variant=medium") == ("image/jpeg", (900, 600)), "it is no larger than that"
    assert (await raw(ann, f"{media['url']}?variant=hls"))[0] == 404
    assert (await raw(ann, f"{media['url']}?variant=../x"))[0] == 422


async def test_what_nothing_shows_is_its_owners_alone(ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    assert (await raw(ann, media["url"]))[0] == 200

    stranger, absent = await bob.http.get(media["url"]), await bob.http.get(f"/api/media/{new_id()}")

    assert (stranger.status, stranger.code) == (404, "media_not_found")
    assert _plain(stranger) == _plain(absent)
    bob.http.token = None
    assert (await raw(bob, media["url"]))[0] == 404
    assert (await bob.http.delete(media["url"])).status == 401


def _plain(reply: Reply) -> Any:
    return reply.status, {name: value for name, value in reply.body.items() if name != "request_id"}


async def test_an_avatar_is_for_everybody_but_whom_its_person_blocks(
    ann: Person, bob: Person, cyd: Person
) -> None:
    first, second = await uploaded(ann), await uploaded(ann, saved(picture(300, 300), "PNG"))
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": first["id"]})
    assert (await raw(bob, first["url"]))[0] == 200

    await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": second["url"]})
    await ann.http.post("/api/friends/block", {"userId": cyd.id})

    status, _, headers = await raw(bob, second["url"])
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert (await raw(bob, first["url"]))[0] == 404, "it is not shown any more"
    assert (await raw(cyd, second["url"]))[0] == 404
    bob.http.token = None
    assert (await raw(bob, second["url"]))[0] == 200


async def test_the_avatar_of_who_does_not_take_part_is_nobodys(plaza: Node, ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    assert (await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": media["id"]})).status == 200
    bob.http.token = None
    assert (await raw(bob, media["url"]))[0] == 200
    admin = await new_admin(plaza)

    await act(admin, ann.id, "ban")

    assert (await raw(bob, media["url"]))[0] == 404
    await admin.leave()


async def test_only_ones_own_uploads_can_be_shown(ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    device = await bob.device()

    for avatar in (media["id"], media["url"], new_id()):
        reply = await bob.http.patch(f"/api/users/{bob.id}/profile", {"avatar": avatar})
        assert (reply.status, reply.code) == (404, "media_not_found")
    for medium in (media["id"], new_id()):
        body = {"to": ann.id, "mediaId": medium, "clientId": new_id()}
        assert await device.refused("send_message", body) == "media_not_found"


async def test_what_a_message_shows_is_for_who_reads_it(ann: Person, bob: Person, cyd: Person) -> None:
    media = await uploaded(ann)
    device, theirs = await ann.device(), await bob.device()

    message = await device.send("look", to=bob.id, mediaId=media["id"])

    assert (message["mediaUrl"], message["mediaType"]) == (media["url"], "image")
    assert (await theirs.wait_for("new_message"))["mediaUrl"] == media["url"]
    assert (await raw(bob, media["url"]))[0] == 200
    assert (await raw(cyd, media["url"]))[0] == 404
    await device.call("delete_message", {"messageId": message["id"]})
    assert (await raw(bob, media["url"]))[0] == 404
    assert (await raw(ann, media["url"]))[0] == 200


async def test_a_message_is_answered_again_though_its_upload_is_gone(ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    device = await ann.device()
    body = {"to": bob.id, "mediaId": media["id"], "clientId": new_id()}
    message = await device.call("send_message", body)
    assert (await ann.http.delete(media["url"])).status == 200

    assert (await device.call("send_message", body))["id"] == message["id"]
    assert await device.refused("send_message", {**body, "text": "other"}) == "client_id_reused"
    assert await device.refused("send_message", {**body, "clientId": new_id()}) == "media_not_found"


async def test_what_is_shown_very_often_has_an_end(ann: Person, bob: Person, cyd: Person) -> None:
    media = await uploaded(ann)
    refs = [f"message:{new_id()}" for _ in range(998)]
    await rows(Media).update_one({"_id": media["id"]}, {"$set": {"refs": refs}})
    device = await ann.device()
    for _ in range(2):
        await device.send("look", to=bob.id, mediaId=media["id"])

    body = {"to": bob.id, "mediaId": media["id"], "clientId": new_id()}
    assert await device.refused("send_message", body) == "media_shown_too_often"
    assert (await raw(bob, media["url"]))[0] == 200
    assert (await raw(cyd, media["url"]))[0] == 404


async def test_what_a_message_shows_is_gone_with_a_block(ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    device = await ann.device()
    await device.send("look", to=bob.id, mediaId=media["id"])
    assert (await raw(bob, media["url"]))[0] == 200

    await ann.http.post("/api/friends/block", {"userId": bob.id})

    async def is_gone() -> bool:
        return (await raw(bob, media["url"]))[0] == 404

    await eventually(is_gone, 2)


async def test_the_same_message_twice_shows_its_upload_once(ann: Person, bob: Person) -> None:
    media, key = await uploaded(ann), new_id()
    device = await ann.device()

    messages = [await device.send("look", to=bob.id, mediaId=media["id"], clientId=key) for _ in range(2)]

    assert messages[0]["id"] == messages[1]["id"]
    assert (await raw(bob, media["url"]))[0] == 200
    await device.call("delete_message", {"messageId": messages[0]["id"]})
    assert (await raw(bob, media["url"]))[0] == 404


# -- addresses that need no token


async def test_a_signed_address_stands_for_its_maker(ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    device = await ann.device()
    await device.send("look", to=bob.id, mediaId=media["id"])
    signed = (await bob.http.get(f"{media['url']}/url")).data["url"]
    token, bob.http.token = bob.http.token, None

    assert (await raw(bob, signed))[0] == 200
    for altered in (
        signed.replace(bob.id, ann.id),
        signed[:-1] + ("0" if signed[-1] != "0" else "1"),
        signed.replace("expires=", "expires=9"),
        signed.replace(media["id"], new_id()),
        signed[:-1] + "%C3%A9",
    ):
        assert (await raw(bob, altered))[0] == 404
    bob.http.token = token
    await ann.http.post("/api/friends/block", {"userId": bob.id})

    async def is_gone() -> bool:
        return (await raw(bob, signed))[0] == 404

    await eventually(is_gone, 2)


async def test_a_signed_address_ends(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(media={"url_lifetime": 1}))
    ann = await join("ann", node.url)
    media = await uploaded(ann)
    signed = (await ann.http.get(f"{media['url']}/url")).data["url"]
    ann.http.token = None

    async def is_over() -> bool:
        return (await raw(ann, signed))[0] == 404

    await eventually(is_over)


async def test_what_anybody_sees_is_at_the_cdn(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(cdn_url="https://cdn.example/"))
    ann = await join("ann", node.url)
    face, secret = await uploaded(ann), await uploaded(ann)
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": face["id"]})

    addresses = [(await ann.http.get(f"{one['url']}/url")).data["url"] for one in (face, secret)]

    assert addresses[0] == f"https://cdn.example{face['url']}"
    assert addresses[1].startswith(f"{secret['url']}?viewer=")


async def test_who_may_not_see_gets_no_address(ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    assert (await bob.http.get(f"{media['url']}/url")).status == 404


# -- being listed, and going


async def test_one_lists_ones_own_newest_first(ann: Person, bob: Person) -> None:
    ids = [(await uploaded(ann))["id"] for _ in range(5)]
    await uploaded(bob)
    listed, path = [], "/api/media?limit=2"
    while path:
        reply = await ann.http.get(path)
        listed += [media["id"] for media in reply.data]
        following = reply.body["pagination"]["next_cursor"]
        path = f"/api/media?limit=2&cursor={following}" if following else ""

    assert listed == ids[::-1]


async def test_what_is_deleted_is_gone_for_everybody(plaza: Node, ann: Person, bob: Person) -> None:
    media = await uploaded(ann)
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": media["id"]})
    assert (await bob.http.delete(media["url"])).status == 404

    assert (await ann.http.delete(media["url"])).status == 200

    assert (await raw(ann, media["url"]))[0] == (await raw(bob, media["url"]))[0] == 404
    assert (await ann.http.delete(media["url"])).status == 404
    left: list[str] = []
    for storage in plaza.services.media.shelves.all():
        left += [kept.key async for kept in storage.keys("media/") if media["id"] in kept.key]
    assert left == []


async def test_what_nothing_refers_to_is_swept(
    make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    node = await start_node(make_settings(media={"unused_after": 0.2, "sweep": 0.1}))
    ann = await join("ann", node.url)
    kept, unused = await uploaded(ann), await uploaded(ann)
    await ann.http.patch(f"/api/users/{ann.id}/profile", {"avatar": kept["id"]})

    async def is_swept() -> bool:
        return (await raw(ann, unused["url"]))[0] == 404

    await eventually(is_swept, 20)


# -- videos


async def test_a_video_plays_at_once_and_is_cut_beside(ann: Person, tmp_path: Path) -> None:
    device = await ann.device()
    media = await uploaded(ann, film(tmp_path / "a.mp4", size=(640, 360)).read_bytes())

    assert (media["state"], media["content_type"], media["duration"]) == ("processing", "video/mp4", 1.0)
    status, body, headers = await raw(ann, media["url"], Range="bytes=0-99")
    assert (status, body[4:8], headers["Content-Type"]) == (206, b"ftyp", "video/mp4")
    assert (await raw(ann, f"{media['url']}?variant=poster"))[2]["Content-Type"] == "image/jpeg"
    ready = (await device.wait_for("media_ready", lambda said: said["media"]["id"] == media["id"], 60))[
        "media"
    ]
    assert ready["state"] == "ready"
    assert {"hls", "hls-360p", "360p", "poster"} <= ready["variants"].keys()
    _, master, headers = await raw(ann, f"{media['url']}?variant=hls")
    assert headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert b"\n?variant=hls-360p\n" in master
    _, playlist, _ = await raw(ann, f"{media['url']}?variant=hls-360p")
    assert b"?variant=360p" in playlist


async def test_the_playlists_of_a_signed_address_are_signed(ann: Person, tmp_path: Path) -> None:
    device = await ann.device()
    media = await uploaded(ann, film(tmp_path / "a.mp4", size=(640, 360)).read_bytes())
    await device.wait_for("media_ready", lambda said: said["media"]["id"] == media["id"], 60)
    signed = (await ann.http.get(f"{media['url']}/url")).data["url"]
    ann.http.token = None

    _, master, _ = await raw(ann, f"{signed}&variant=hls")
    playlist_query = next(line for line in master.decode().splitlines() if line.startswith("?"))
    _, playlist, _ = await raw(ann, media["url"] + playlist_query)
    media_query = next(line for line in playlist.decode().splitlines() if line.startswith("?"))

    assert (await raw(ann, media["url"] + media_query, Range="bytes=0-9"))[0] == 206


async def test_a_video_that_has_to_be_made_anew_says_so(ann: Person, tmp_path: Path) -> None:
    device = await ann.device()
    media = await uploaded(ann, film(tmp_path / "a.avi", codec="mpeg4", sound="mp3").read_bytes())

    await device.wait_for("media_ready", lambda said: said["media"]["id"] == media["id"], 60)

    _, body, headers = await raw(ann, media["url"])
    assert (body[4:8], headers["Content-Type"]) == (b"ftyp", "video/mp4")
