"""`media migrate`: files go elsewhere while they are served; killed at any moment, nothing is lost."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.clock import now
from common.engines import Engines
from common.engines.engines import S3_ACCESS_KEY, S3_SECRET_KEY
from documents.media import Media, StorageType
from documents.rows import rows
from tests.clients import Person
from tests.conftest import SECRET, MakeSettings, Node, SignUp, StartNode
from tests.media.conftest import open_s3
from tests.media.corpus import picture, saved

ROOT = Path(__file__).parent.parent.parent
ALL = ("mongodb", "disk", "s3")
BIG = 900_000
Command = Callable[..., Awaitable[tuple[int | None, str]]]


@pytest.fixture
async def storage(s3_engine: Engines, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    bucket = f"moved-{tmp_path.name[-20:].replace('_', '-')}".lower()
    store = await open_s3(s3_engine.s3_url, bucket)
    yield {
        "s3_bucket": bucket,
        "s3_url": s3_engine.s3_url,
        "s3_access_key": S3_ACCESS_KEY,
        "s3_secret_key": S3_SECRET_KEY,
        "disk_from": 0,
    }
    await store.close()


@pytest.fixture
async def node(
    make_settings: MakeSettings, start_node: StartNode, tmp_path: Path, storage: dict[str, Any]
) -> Node:
    return await start_node(make_settings(data_dir=tmp_path, storage=storage))


@pytest.fixture
async def owner(node: Node, join: SignUp) -> Person:
    """Somebody with uploads; nobody else's are there to be moved."""
    await rows(Media).delete_many({})
    return await join("ann", node.url)


async def uploaded(person: Person, count: int) -> list[Any]:
    data = [saved(picture(700 + number, 500), "PNG") for number in range(count)]
    replies = await asyncio.gather(*(person.upload(one) for one in data))
    assert {reply.status for reply in replies} == {201}
    return [reply.data for reply in replies]


async def where(media: list[Any]) -> set[str]:
    documents = await Media.many([one["id"] for one in media])
    return {file.storage_type for one in documents.values() for file in one.files}


async def keys(node: Node) -> dict[str, set[str]]:
    shelves = node.services.media.shelves
    return {kind: {kept.key async for kept in shelves.of(kind).keys("media/")} for kind in ALL}


async def require_served(person: Person, media: list[Any]) -> None:
    for one in media:
        headers = {"Authorization": f"Bearer {person.token}"}
        async with aiohttp.request("GET", person.http.url + one["url"], headers=headers) as answer:
            assert answer.status == 200
            assert hashlib.sha256(await answer.read()).hexdigest() == one["sha256"]


async def move(node: Node, target: Any) -> Any:
    return await node.services.media.mover.run(target, ALL, print)


async def test_uploads_go_there_and_back(node: Node, owner: Person) -> None:
    media = await uploaded(owner, 4)
    documents = (await Media.many([one["id"] for one in media])).values()
    names = {file.key for one in documents for file in one.files}
    assert await where(media) == {"s3"}

    for target in ("disk", "mongodb", "s3"):
        moved = await move(node, target)

        assert (moved.files, moved.left) == (len(names), 0)
        assert await where(media) == {target}
        kept = await keys(node)
        assert kept[target] >= names
        assert all(not names & kept[other] for other in ALL if other != target)
        await require_served(owner, media)
    assert (await move(node, "s3")).files == 0


async def test_who_reads_goes_on_reading(node: Node, owner: Person) -> None:
    [media] = await uploaded(owner, 1)
    document = (await Media.many([media["id"]]))[media["id"]]
    file, shelves = document.files[0], node.services.media.shelves
    data = os.urandom(BIG)

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    steps: list[tuple[StorageType, StorageType]] = [
        ("mongodb", "disk"),
        ("disk", "s3"),
        ("s3", "mongodb"),
        ("mongodb", "s3"),
    ]
    for source, target in steps:
        stored = await shelves.put(source, file.key, chunks())
        current = {**file.model_dump(), "storage_type": source, "size": BIG, "sha256": stored.sha256}
        await rows(Media).update_one({"_id": document.id}, {"$set": {"files": [current]}})
        found = (await Media.many([document.id]))[document.id].files[0]
        async with shelves.read(found) as pieces:
            read = await anext(pieces)
            assert (await move(node, target)).files == 1
            async for piece in pieces:
                read += piece
        assert read == data, (source, target)
        async with shelves.read(found, 100) as pieces:  # who has asked where it is before it was moved
            assert b"".join([piece async for piece in pieces]) == data[100:], (source, target)


async def test_what_is_damaged_stays_and_is_told_of(node: Node, owner: Person) -> None:
    media = await uploaded(owner, 2)
    await rows(Media).update_one({"_id": media[0]["id"]}, {"$set": {"files.0.sha256": "0" * 64}})
    said: list[str] = []

    moved = await node.services.media.mover.run("disk", ALL, said.append)

    assert moved.left == 1
    assert said == [f"upload {media[0]['id']} stays where it is: media_damaged"]
    bad = (await Media.many([media[0]["id"]]))[media[0]["id"]].files[0]
    assert bad.storage_type == "s3"
    assert await node.services.media.shelves.of("disk").find(bad.key) is None
    assert (await owner.http.get(media[0]["url"])).status == 200


async def test_what_is_deleted_while_it_is_moved_is_gone_everywhere(node: Node, owner: Person) -> None:
    media = await uploaded(owner, 6)

    moved, *replies = await asyncio.gather(
        move(node, "disk"), *(owner.http.delete(one["url"]) for one in media)
    )

    assert [reply.status for reply in replies] == [200] * 6
    assert moved.left == 0
    await node.services.media.library.sweep()
    left = {key for kept in (await keys(node)).values() for key in kept}
    assert not any(one["id"] in key for one in media for key in left)


async def test_two_movers_do_not_get_in_each_others_way(node: Node, owner: Person) -> None:
    media = await uploaded(owner, 5)
    other = type(node.services.media.mover)(node.services.media.shelves)

    await asyncio.gather(move(node, "disk"), other.run("disk", ALL, print))

    assert await where(media) == {"disk"}
    await require_served(owner, media)


CRASH = """
import os, signal, sys
from documents.media import Moves
from realtime.cli import build_cli

when, switch, switched = sys.argv.pop(), Moves.switch, 0

async def switch_and_die(*which, **where):
    global switched
    switched += 1
    if (when, switched) == ("copied", 4):
        os.kill(os.getpid(), signal.SIGKILL)
    done = await switch(*which, **where)
    if (when, switched) == ("switched", 3):
        os.kill(os.getpid(), signal.SIGKILL)
    return done

Moves.switch = staticmethod(switch_and_die)
build_cli(lambda app, services: None, print)(["media", "migrate", "--to", "disk"])
"""


@pytest.fixture
def command(engines: Engines, storage: dict[str, Any], tmp_path: Path) -> Command:
    """Run the program on the same engines; its exit code and what it said."""
    environment = {
        "PATH": os.environ["PATH"],
        "PLAZA_ENVIRONMENT": "test",
        "PLAZA_MONGO_URL": engines.mongo_url,
        "PLAZA_DATABASE": rows(Media).database.name,
        "PLAZA_DATA_DIR": str(tmp_path),
        "PLAZA_JWT_SECRET": SECRET,
        **{f"PLAZA_STORAGE__{name.upper()}": str(value) for name, value in storage.items()},
    }

    async def run(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *words),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, said.decode()

    return run


async def test_a_killed_move_is_taken_up_by_the_next(node: Node, owner: Person, command: Command) -> None:
    media = await uploaded(owner, 5)

    for when in ("copied", "switched"):
        code, said = await command("-c", CRASH, when)
        assert code == -signal.SIGKILL, said
        assert await where(media) == {"disk", "s3"}
        await require_served(owner, media)
        await rows(Media).update_many({"mover": {"$ne": None}}, {"$set": {"moving_until": now()}})
    code, said = await command("-m", "realtime", "media", "migrate", "--to", "disk")

    assert code == 0, said
    assert "; 0 uploads are left" in said
    assert await where(media) == {"disk"}
    await require_served(owner, media)
    kept = await keys(node)
    assert [one for one in kept["s3"] if any(medium["id"] in one for medium in media)] == []
    assert await rows(Media).count_documents({"mover": {"$ne": None}}) == 0
    _, said = await command("-m", "realtime", "media", "fsck", "--deep")
    assert "uploads: 5 ready\ndisk: " in said
    assert not any(one["id"] in said for one in media), said
