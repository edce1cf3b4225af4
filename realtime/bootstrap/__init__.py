"""The one place where everything is put together: settings, connections, services.

`open_services` starts what a process needs and stops it in the opposite order.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from common.engines import Engines
from common.settings import Settings
from documents.database import Database
from realtime.bootstrap.assembly import assemble
from realtime.bootstrap.connections import connect_redis, open_database
from realtime.bootstrap.services import Health, Services
from realtime.bootstrap.wiring import start, stop, wire
from realtime.gateway.commands import CommandTable

__all__ = ["Health", "Services", "describe_commands", "open_services"]


@asynccontextmanager
async def open_services(settings: Settings, database: Database | None = None) -> AsyncGenerator[Services]:
    """Start everything a process needs; on leaving, finish what is under way and stop it again.

    Documents belong to one database per process: who opens services more than once shares an open `database`.
    """
    async with AsyncExitStack() as stack:
        wants_mongo = settings.mongo_url is None and database is None
        engines = Engines(settings.data_dir, mongo=wants_mongo, redis=False)
        await stack.enter_async_context(engines)
        if database is None:
            database = await open_database(settings, engines)
            stack.push_async_callback(database.close)
        redis = connect_redis(settings)
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        services = assemble(settings, engines, database, redis)
        stack.push_async_callback(stop, services)
        await start(services)
        yield services


def describe_commands(settings: Settings) -> CommandTable:
    """The command table alone, for the documents: nothing is started, nothing is connected."""
    engines = Engines(settings.data_dir, mongo=False, redis=False)
    services = assemble(settings, engines, Database("mongodb://localhost", settings.database), None)
    wire(services)
    return services.commands
