"""Indexes are made by `migrate`, and by every start that is not told otherwise."""

import asyncio
import uuid
from pathlib import Path

from pymongo import AsyncMongoClient

from common.engines import Engines
from tests.operations.program import Program, environment


async def indexes(url: str, database: str) -> set[str]:
    """The names of all indexes that somebody made."""
    async with AsyncMongoClient(url) as client:
        found: set[str] = set()
        for name in await client[database].list_collection_names():
            found |= set(await client[database][name].index_information())
    return found - {"_id_"}


async def test_indexes_are_made_beforehand_when_starts_are_not_to(engines: Engines, tmp_path: Path) -> None:
    name = f"test_{uuid.uuid4().hex[:12]}"
    env = {**environment(engines, tmp_path, name), "PLAZA_MIGRATE": "false"}

    async def ran(*arguments: str) -> None:
        async with Program.realtime(*arguments, env=env, cwd=tmp_path) as program:
            assert await asyncio.wait_for(program.process.wait(), 60) == 0, program.lines

    await ran("users", "list")
    before = await indexes(engines.mongo_url, name)
    await ran("migrate")
    after = await indexes(engines.mongo_url, name)

    assert before == set()
    assert len(after) > 10
