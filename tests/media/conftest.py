"""The three backends of storage, on real servers."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from common.engines import Engines
from common.engines.engines import S3_ACCESS_KEY, S3_SECRET_KEY
from documents.database import Database
from media.storage import DiskStorage, GridStorage, S3Storage, Storage
from media.storage.s3 import Bucket


@pytest.fixture(scope="session")
async def s3_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    """`rclone serve s3`: real signatures, files that survive a restart."""
    async with Engines(tmp_path_factory.mktemp("s3"), mongo=False, redis=False, s3=True) as engines:
        yield engines


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """moto: the whole API, in memory."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def open_s3(url: str, name: str | None = None) -> S3Storage:
    """Storage in a bucket of its own."""
    name = name or f"bucket-{uuid.uuid4().hex[:12]}"
    storage = S3Storage(Bucket(url, name, "us-east-1", S3_ACCESS_KEY, S3_SECRET_KEY))
    await storage.open()
    await storage.make_bucket()
    return storage


@pytest.fixture(params=["mongodb", "disk", "rclone", "moto"])
async def storage(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, s3_engine: Engines, moto_url: str
) -> AsyncIterator[Storage]:
    """Each backend in turn, empty."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "mongodb":
                yield GridStorage(database.files(f"files_{uuid.uuid4().hex[:8]}"))
            case "disk":
                disk = DiskStorage(tmp_path / "media")
                stack.callback(disk.close)
                yield disk
            case kind:
                s3 = await open_s3(s3_engine.s3_url if kind == "rclone" else moto_url)
                stack.push_async_callback(s3.close)
                yield s3
