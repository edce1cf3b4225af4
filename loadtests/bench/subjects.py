# pyright: strict
"""The servers that are compared. Each knows the same events, so each gets the same load."""

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.engines.ports import free_port
from loadtests.bench.generator import BUILD, PEERS
from loadtests.bench.machine import Cores
from loadtests.bench.processes import Child, Program

Name = Literal["plaza", "node", "node-open", "stock", "limit"]

TITLES: Mapping[Name, str] = {
    "plaza": "Plaza",
    "node": "Node socket.io",
    "node-open": "Node socket.io, nobody checked",
    "stock": "python-socketio",
    "limit": "C, one send() each",
}

SETTINGS = {
    "PLAZA_ENVIRONMENT": "production",
    "PLAZA_LIMITS__USER_PER_MINUTE": "1000000000",
    "PLAZA_LIMITS__UNAUTHENTICATED_PER_ADDRESS": "100000",
}
"""Documented settings only: one person publishes very often, and all come from one address."""


@dataclass(frozen=True)
class Grounds:
    """What every server is started with."""

    cores: Cores
    folder: Path
    mongo_url: str
    mongo_pid: int
    redis_url: str
    redis_pid: int
    database: str
    secret: str
    node: str


@dataclass(frozen=True)
class Running:
    """A subject that serves: one process, or several behind each other's back."""

    name: Name
    targets: Sequence[str]
    pids: Sequence[int]
    friends: Sequence[int]

    def arguments(self) -> list[str]:
        """What the generator has to know of it."""
        pids = ["--server-pid", ",".join(map(str, self.pids))]
        return ["-t", ",".join(self.targets), *pids, "--friend-pid", ",".join(map(str, self.friends))]


@asynccontextmanager
async def serving(
    name: Name,
    grounds: Grounds,
    settings: Mapping[str, str] | None = None,
    *,
    processes: int = 1,
    pinned: bool = True,
) -> AsyncGenerator[Running]:
    """Start a subject, over Redis if it is several processes; it ends with the block."""
    extra = dict(settings or {})
    friends = {grounds.mongo_pid} if name == "plaza" else set[int]()
    if processes > 1:
        extra["PLAZA_REDIS_URL" if name == "plaza" else "REDIS_URL"] = grounds.redis_url
        friends.add(grounds.redis_pid)
    cores = grounds.cores if pinned else Cores(None, None)
    async with AsyncExitStack() as stack:
        children: list[Child] = []
        for _ in range(processes):
            child = Child(_program(name, grounds, extra), cores, grounds.folder)
            stack.push_async_callback(child.stop)
            await child.start()
            children.append(child)
        pids = [child.pid for child in children]
        yield Running(name, [child.target for child in children], pids, sorted(friends))


def _program(name: Name, grounds: Grounds, extra: Mapping[str, str]) -> Program:
    port = free_port()
    if name == "plaza":
        folder = grounds.folder / f"plaza-{port}"
        settings = {
            **SETTINGS,
            "PLAZA_DATA_DIR": str(folder),
            "PLAZA_MONGO_URL": grounds.mongo_url,
            "PLAZA_DATABASE": grounds.database,
            "PLAZA_JWT_SECRET": grounds.secret,
            **extra,
        }
        return Program(name, [sys.executable, "-m", "realtime", "serve", "--port", str(port)], port, settings)
    if name == "stock":
        return Program(name, [sys.executable, str(PEERS / "stock.py"), str(port)], port, {})
    if name == "limit":
        return Program(name, [str(BUILD / "limit"), str(port)], port, {})
    secret = {} if name == "node-open" else {"SECRET": grounds.secret}
    command = [grounds.node, str(PEERS / "node" / "server.js"), str(port)]
    return Program(name, command, port, {**secret, **extra})
