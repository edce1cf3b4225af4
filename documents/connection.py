"""The connection to MongoDB, and the replica set of the embedded engine."""

import asyncio
import time
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure
from pymongo.uri_parser import parse_uri

# Half a second is usual. A member whose former port now belongs to a stranger that listens and stays silent
# first waits 30 s for its answer.
_PRIMARY_WITHIN = 45.0
_NOT_YET_INITIALIZED = 94


async def initiate_replica_set(url: str) -> None:
    """Make the one member that `url` names a writable primary; raises `TimeoutError`.

    New data get a configuration. Data that last ran on another port get theirs corrected: the member would
    look for itself in vain. Doing it again changes nothing.
    """
    parsed = parse_uri(url)
    host, port = parsed["nodelist"][0]
    options: dict[str, Any] = {"directConnection": True, "serverSelectionTimeoutMS": 1000}
    async with AsyncMongoClient[dict[str, Any]](host, port, **options) as client:
        await _until_primary(client.admin, parsed["options"]["replicaSet"], f"{host}:{port}")


async def _until_primary(admin: AsyncDatabase[dict[str, Any]], name: str, member: str) -> None:
    deadline = time.monotonic() + _PRIMARY_WITHIN
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            hello = await admin.command("hello")
            if hello["isWritablePrimary"]:
                return
            await _configure(admin, name, member)
        except (ConnectionFailure, OperationFailure) as error:
            last = error  # it is starting, or electing itself
        await asyncio.sleep(0.02)
    raise TimeoutError(f"{member} is not the primary of {name} after {_PRIMARY_WITHIN:.0f} s: {last}")


async def _configure(admin: AsyncDatabase[dict[str, Any]], name: str, member: str) -> None:
    try:
        config = (await admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        first = {"_id": name, "members": [{"_id": 0, "host": member}]}
        await admin.command("replSetInitiate", first)
        return
    if config["members"][0]["host"] != member:
        config["members"][0]["host"] = member
        await admin.command("replSetReconfig", config, force=True)
