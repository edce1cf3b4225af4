"""Real engines, real servers, real clients: started once, shared by all tests."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.engines import Engines
from common.settings import Settings
from documents.connection import initiate_replica_set
from documents.database import Database
from realtime.app import Server, build_app
from realtime.bootstrap import Services, open_services
from rest.app import add_rest
from tests.clients import Person, sign_up

MANY = 1_000_000
SECRET = "a secret that only tests know, long enough"


@dataclass
class Node:
    """A running node of Plaza in this process."""

    url: str
    services: Services
    server: Server


@pytest.fixture(scope="session")
async def engines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    """One mongod and one valkey for the whole run, with throw-away data."""
    async with Engines(tmp_path_factory.mktemp("engines"), mongo=True, redis=True) as running:
        await initiate_replica_set(running.mongo_url)
        yield running


@pytest.fixture(scope="session")
async def database(engines: Engines) -> AsyncIterator[Database]:
    """The one database that all nodes of this process share: documents are bound to it."""
    database = Database(engines.mongo_url, f"test_{uuid.uuid4().hex[:12]}")
    await database.open()
    yield database
    await database.close()


MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def make_settings(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> MakeSettings:
    """Settings for a node: fast hashes, wide limits, short grace; overridden by keyword."""
    data: Path = tmp_path_factory.mktemp("data")

    def make(*, redis: bool = False, **changes: Any) -> Settings:
        base: dict[str, Any] = {
            "environment": "test",
            "port": 0,
            "data_dir": data,
            "mongo_url": engines.mongo_url,
            "redis_url": engines.redis_url if redis else None,
            "jwt_secret": SECRET,
            "log_level": "warning",
            "limits": {"public_per_minute": MANY, "user_per_minute": MANY, "sockets_per_user": 50},
            "timeouts": {"presence_grace": 0.3, "presence_lease": 1.5, "drain": 2.0, "stream_sweep": 2.0},
            "accounts": {"bcrypt_cost": 4},
            # Who is asked does the work: only nodes on one bus could stand in for each other.
            "personal": {"deletion_settle": 0.3, "look_every": 3600.0},
        }
        for name, value in changes.items():
            known = base.get(name)
            base[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
        return Settings(**{"_env_file": None, **base})

    return make


StartNode = Callable[[Settings], Awaitable[Node]]


async def _start(stack: AsyncExitStack, settings: Settings, database: Database) -> Node:
    services = await stack.enter_async_context(open_services(settings, database))
    server = Server(services, build_app(services, add_rest))
    await server.start("127.0.0.1", 0)
    stack.push_async_callback(server.stop)
    return Node(f"http://127.0.0.1:{server.port}", services, server)


@pytest.fixture
async def start_node(database: Database) -> AsyncIterator[StartNode]:
    """Start a node with settings of one's own; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(settings: Settings) -> Node:
            return await _start(stack, settings, database)

        yield start


@pytest.fixture(scope="session")
async def plaza(make_settings: MakeSettings, database: Database) -> AsyncIterator[Node]:
    """One node, shared by all tests that need nothing special."""
    async with AsyncExitStack() as stack:
        yield await _start(stack, make_settings(), database)


@pytest.fixture(scope="session")
async def two_nodes(make_settings: MakeSettings, database: Database) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes over one MongoDB and one Redis."""
    settings = make_settings(redis=True)
    async with AsyncExitStack() as stack:
        one = await _start(stack, settings, database)
        yield one, await _start(stack, settings, database)


SignUp = Callable[..., Awaitable[Person]]


@pytest.fixture
async def join(plaza: Node) -> AsyncIterator[SignUp]:
    """Sign somebody up, at the shared node unless another address is given; they leave with the test."""
    people: list[Person] = []

    async def make(name: str = "someone", url: str | None = None) -> Person:
        people.append(await sign_up(url or plaza.url, name))
        return people[-1]

    yield make
    for person in people:
        await person.leave()


@pytest.fixture
async def ann(join: SignUp) -> Person:
    return await join("ann")


@pytest.fixture
async def bob(join: SignUp) -> Person:
    return await join("bob")


@pytest.fixture
async def cyd(join: SignUp) -> Person:
    return await join("cyd")
