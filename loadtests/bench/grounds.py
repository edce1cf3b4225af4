# pyright: strict
"""What a benchmark stands on: engines beside the generator, people, and a folder that does not stay."""

import secrets
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from common.engines import Engines
from documents.connection import initiate_replica_set
from loadtests.bench.machine import Cores
from loadtests.bench.population import Population
from loadtests.bench.rounds import Bench, Pace
from loadtests.bench.subjects import Grounds

DATABASE = "bench"
CACHE_GB = 1.0


@asynccontextmanager
async def opened(cores: Cores, pace: Pace, node: str) -> AsyncGenerator[Bench]:
    """A MongoDB and a Redis on the generator's core, and nobody there yet."""
    folder = Path(tempfile.mkdtemp(prefix="plaza-bench-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        engines = Engines(folder / "engines", mongo=True, redis=True, cache_gb=CACHE_GB)
        await stack.enter_async_context(engines)
        await initiate_replica_set(engines.mongo_url)
        secret = secrets.token_urlsafe(48)
        population = Population(engines.mongo_url, DATABASE, secret, folder)
        stack.push_async_callback(population.close)
        await population.open()
        grounds = Grounds(
            cores=cores,
            folder=folder,
            mongo_url=engines.mongo_url,
            mongo_pid=engines.mongo_pid,
            redis_url=engines.redis_url,
            redis_pid=engines.redis_pid,
            database=DATABASE,
            secret=secret,
            node=node,
        )
        yield Bench(grounds, population, pace)
