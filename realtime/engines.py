"""What several processes share: engines that are running, and a database that is as this version needs it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from common.engines import Engines
from common.settings import Settings
from documents.connection import initiate_replica_set
from documents.database import Database

ENGINES_WITHIN = 60.0


@asynccontextmanager
async def shared_engines(settings: Settings) -> AsyncGenerator[tuple[Engines, Settings]]:
    """Run the engines that `settings` do not name, make missing indexes, and yield settings that name all."""
    embedded = Engines(settings.data_dir, mongo=settings.mongo_url is None, redis=settings.redis_url is None)
    async with embedded as engines:
        urls = _named_by(settings)
        if "mongo_url" not in urls:
            urls["mongo_url"] = engines.mongo_url
            await initiate_replica_set(engines.mongo_url)
        if "redis_url" not in urls:
            urls["redis_url"] = engines.redis_url
        if settings.migrate:
            await make_indexes(urls["mongo_url"], settings.database)
        yield engines, _naming(settings, urls)


async def join_engines(settings: Settings) -> Settings:
    """Settings that name the engines which another process of this data directory runs; waits for them."""
    if settings.mongo_url is not None and settings.redis_url is not None:
        return settings
    mongo_url, redis_url = await Engines.running_in(settings.data_dir, ENGINES_WITHIN)
    await initiate_replica_set(mongo_url)
    return _naming(settings, {"mongo_url": mongo_url, "redis_url": redis_url, **_named_by(settings)})


async def make_indexes(mongo_url: str, name: str) -> None:
    """Make the indexes of the database `name` that are missing."""
    database = Database(mongo_url, name)
    try:
        await database.open()
    finally:
        await database.close()


def _naming(settings: Settings, urls: dict[str, str]) -> Settings:
    secrets = {name: SecretStr(url) for name, url in urls.items()}
    return settings.model_copy(update={**secrets, "migrate": False})


def _named_by(settings: Settings) -> dict[str, str]:
    urls = {"mongo_url": settings.mongo_url, "redis_url": settings.redis_url}
    return {name: url.get_secret_value() for name, url in urls.items() if url is not None}
