"""What every storage backend does, whatever it is made of."""

import asyncio
import hashlib
import os
import signal
import sys
from asyncio import gather
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from common.engines import Engines
from common.engines.ports import answers
from documents.database import Database
from media.storage import DiskStorage, GridStorage, Missing, Storage, StorageError
from media.storage.port import CHUNK
from media.storage.s3 import PART
from tests.media.conftest import open_s3

ROOT = Path(__file__).parent.parent.parent


async def chunks_of(data: bytes, size: int = CHUNK) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(storage: Storage, key: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in storage.read(key, start, length)])


async def keys(storage: Storage, prefix: str = "") -> list[str]:
    return [kept.key async for kept in storage.keys(prefix)]


def noise(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


async def test_what_is_put_is_read_back(storage: Storage) -> None:
    for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART, 2 * PART + 12_345):
        data = noise(size)

        stored = await storage.put(f"some/{size}.bin", chunks_of(data))

        assert (stored.key, stored.size) == (f"some/{size}.bin", size)
        assert stored.sha256 == hashlib.sha256(data).hexdigest()
        assert await read(storage, stored.key) == data
        found = await storage.find(stored.key)
        assert found is not None
        assert found.size == size
        assert abs(datetime.now(UTC) - found.at) < timedelta(minutes=1)


async def test_a_range_is_those_bytes_and_no_others(storage: Storage) -> None:
    data = noise(100_000)
    await storage.put("ranged", chunks_of(data))

    for start, end in (
        (0, 1),
        (0, 10),
        (5, 5),
        (99_999, 100_000),
        (99_999, 100_049),
        (100_000, 100_005),
        (200_000, None),
        (1234, 55_555),
    ):
        length = None if end is None else end - start
        assert await read(storage, "ranged", start, length) == data[start:end]


async def test_a_range_crosses_the_pieces_a_backend_keeps(storage: Storage) -> None:
    data = noise(3 * CHUNK)
    await storage.put("long", chunks_of(data, 7_777))

    assert await read(storage, "long", CHUNK - 100, CHUNK + 200) == data[CHUNK - 100 : 2 * CHUNK + 100]


async def test_what_is_not_there_is_missing(storage: Storage) -> None:
    with pytest.raises(Missing):
        await read(storage, "nothing")
    assert await storage.find("nothing") is None
    await storage.delete("nothing")


async def test_what_is_deleted_is_gone_and_its_twin_is_not(storage: Storage) -> None:
    data = noise(50_000)
    await gather(storage.put("one", chunks_of(data)), storage.put("other", chunks_of(data)))

    await storage.delete("one")
    await storage.delete("one")

    with pytest.raises(Missing):
        await read(storage, "one")
    assert await read(storage, "other") == data
    assert await keys(storage) == ["other"]


async def test_what_keys_begin_with_is_no_key(storage: Storage) -> None:
    await storage.put("some/folder/one", chunks_of(b"x"))

    assert await storage.find("some/folder") is None
    with pytest.raises(Missing):
        await read(storage, "some")
    assert await keys(storage) == ["some/folder/one"]

    await storage.delete("some/folder/one")
    await storage.put("some/folder", chunks_of(b"a file now"))
    assert await read(storage, "some/folder") == b"a file now"


async def test_putting_again_replaces(storage: Storage) -> None:
    await storage.put("key", chunks_of(noise(70_000)))
    await storage.put("key", chunks_of(b"short"))

    assert await read(storage, "key") == b"short"
    assert await keys(storage) == ["key"]


async def test_an_upload_that_breaks_off_leaves_nothing(storage: Storage) -> None:
    await storage.put("kept", chunks_of(b"as it was"))

    async def broken(size: int) -> AsyncIterator[bytes]:
        async for chunk in chunks_of(noise(size)):
            yield chunk
        raise ConnectionResetError

    for size in (1000, PART + 1000):
        for key in ("kept", "fresh"):
            with pytest.raises(ConnectionResetError):
                await storage.put(key, broken(size))

    assert await read(storage, "kept") == b"as it was"
    assert await keys(storage) == ["kept"]
    assert await storage.sweep(datetime.now(UTC) + timedelta(hours=1)) == 0


async def test_keys_come_in_order_and_by_prefix(storage: Storage) -> None:
    names = ["a/1", "a/2/x", "a-b", "ab", "b/1", "B/1", "a/10"]
    await gather(*(storage.put(name, chunks_of(name.encode())) for name in names))

    assert await keys(storage) == sorted(names)
    assert await keys(storage, "a/") == ["a/1", "a/10", "a/2/x"]
    assert await keys(storage, "a/1") == ["a/1", "a/10"]
    assert await keys(storage, "zzz") == []


async def test_many_put_the_same_content_and_forget_it_at_once(storage: Storage) -> None:
    data = noise(30_000)

    async def come_and_go(number: int) -> None:
        for _ in range(3):
            await storage.put(f"twin/{number}", chunks_of(data))
            assert await read(storage, f"twin/{number}") == data
            await storage.delete(f"twin/{number}")
        await storage.put(f"twin/{number}", chunks_of(data))

    await gather(*(come_and_go(number) for number in range(8)))

    assert await keys(storage, "twin/") == [f"twin/{number}" for number in range(8)]
    assert [await read(storage, f"twin/{number}") for number in range(8)] == [data] * 8


async def test_what_is_no_key_is_refused(storage: Storage) -> None:
    for key in (
        "",
        "/",
        "/etc/passwd",
        "../up",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "a\0b",
        "ü",
        "x" * 513,
    ):
        with pytest.raises((ValueError, StorageError)):
            await storage.put(key, chunks_of(b"x"))
        with pytest.raises((ValueError, StorageError)):
            await read(storage, key)


async def test_what_a_dead_server_cut_off_is_invisible_and_swept(s3_engine: Engines) -> None:
    storage = await open_s3(s3_engine.s3_url)
    killed = False

    async def long() -> AsyncIterator[bytes]:
        nonlocal killed
        async for chunk in chunks_of(noise(3 * PART)):
            yield chunk
        os.kill(s3_engine.s3_pid, signal.SIGKILL)
        killed = True

    try:
        with pytest.raises(StorageError):
            await storage.put("half", long())
        assert killed
        port = int(s3_engine.s3_url.rpartition(":")[2])
        async with asyncio.timeout(20):
            while not await answers(port):
                await asyncio.sleep(0.05)

        assert await storage.find("half") is None
        assert await keys(storage) == []
        await storage.sweep(datetime.now(UTC) + timedelta(hours=1))
        assert await storage.sweep(datetime.now(UTC) + timedelta(hours=1)) == 0
        await storage.put("half", chunks_of(b"whole at last"))
        assert await read(storage, "half") == b"whole at last"
    finally:
        await storage.close()


CRASH = """
import asyncio, os, sys
from pathlib import Path
from media.storage import DiskStorage

async def chunks():
    yield b"x" * 100_000
    os._exit(9)

asyncio.run(DiskStorage(Path(sys.argv[1])).put("half", chunks()))
"""


async def test_a_disk_is_swept_of_what_a_dead_process_began(tmp_path: Path) -> None:
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASH, str(tmp_path), cwd=ROOT)
    assert await died.wait() == 9
    storage, later = DiskStorage(tmp_path), datetime.now(UTC) + timedelta(hours=1)

    assert await keys(storage) == []
    assert await storage.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert await storage.sweep(later) == 1
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    storage.close()


async def test_a_bucket_is_swept_of_pieces_without_a_file(database: Database) -> None:
    grid = database.files("files_swept")
    storage, later = GridStorage(grid), datetime.now(UTC) + timedelta(hours=1)
    await storage.put("whole", chunks_of(noise(600_000)))
    await grid.begin("half").write(noise(2_000_000))

    assert await keys(storage) == ["whole"]
    assert await storage.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert await storage.sweep(later) == 1
    assert await storage.sweep(later) == 0
    assert await read(storage, "whole") == noise(600_000)


async def test_a_presigned_request_is_bound_to_its_type_and_size(s3_engine: Engines) -> None:
    storage = await open_s3(s3_engine.s3_url)
    allowed = await storage.presign_put("direct", "image/png", 5, 60)

    async with aiohttp.ClientSession() as http:

        async def put(body: bytes, **headers: str) -> int:
            async with http.put(allowed.url, data=body, headers={**allowed.headers, **headers}) as answer:
                return answer.status

        refused = [
            await put(b"hello", **{"Content-Type": "text/html"}),
            await put(b"longer", **{"Content-Length": "6"}),
        ]
        assert refused == [403, 403]
        assert await storage.find("direct") is None
        assert await put(b"hello") == 200
        async with http.get(await storage.presign_get("direct", 60)) as answer:
            assert await answer.read() == b"hello"
        async with http.get((await storage.presign_get("direct", 60)).replace("direct", "other")) as answer:
            assert answer.status == 403
    await storage.close()
