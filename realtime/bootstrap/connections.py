"""What a process is connected to: MongoDB, Redis, the bus between nodes."""

from pydantic import SecretStr
from redis.asyncio import Redis

from common.engines import Engines
from common.ids import Id
from common.redis_url import RedisUrl
from common.settings import Settings
from documents.connection import initiate_replica_set
from documents.database import Database
from realtime.fanout import LocalFanout
from realtime.fanout.bus import BusKey, RedisBus
from realtime.features.presence import MemoryPresence, PresenceStore, RedisPresence
from realtime.redis_client import redis_client


async def open_database(settings: Settings, engines: Engines) -> Database:
    url = _reveal(settings.mongo_url)
    if url is None:
        url = engines.mongo_url
        await initiate_replica_set(url)
    database = Database(url, settings.database)
    await database.open(indexes=settings.migrate)
    return database


def open_bus(node: Id, settings: Settings, local: LocalFanout) -> RedisBus | None:
    url = _redis_url(settings)
    if url is None:
        return None
    bus = RedisBus(url, node, BusKey(settings.database, settings.secret()), local)
    local.interest = bus
    return bus


def connect_redis(settings: Settings) -> Redis | None:
    url = _redis_url(settings)
    return redis_client(url) if url is not None else None


def _redis_url(settings: Settings) -> RedisUrl | None:
    url = _reveal(settings.redis_url)
    return RedisUrl.parse(url) if url is not None else None


def presence_store(redis: Redis | None, settings: Settings) -> PresenceStore:
    if redis is None:
        return MemoryPresence()
    timeouts = settings.timeouts
    return RedisPresence(
        redis, lease=timeouts.presence_lease, grace=timeouts.presence_grace, space=settings.database
    )


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
