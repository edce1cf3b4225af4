"""Where the shards live: on one server, on the one that sentinels name, or spread over a cluster."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from ssl import SSLContext
from typing import Any, Protocol, TypeVar, cast

from redis.crc import key_slot

from common.redis_url import Login, RedisUrl
from realtime.fanout.bus.shards import SHARDS, Names
from realtime.fanout.bus.wire import Refused, Wire

PATIENCE = 2.0
"""Seconds a server has to say what it is asked before another one is asked."""

W = TypeVar("W", bound=Wire)


@dataclass(frozen=True, slots=True)
class Server:
    """The address of one Redis, and how it wants to be spoken to."""

    host: str
    port: int
    path: str | None = None
    login: Login = field(default_factory=Login)
    tls: SSLContext | None = None

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    async def dial(self, make: Callable[[], W]) -> W:
        """Connect and log in; raises `OSError` or `Refused`."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            _, wire = await loop.create_unix_connection(make, self.path)
        else:
            name = self.host if self.tls is not None else None
            _, wire = await loop.create_connection(
                make, self.host, self.port, ssl=self.tls, server_hostname=name
            )
        try:
            await wire.greet(self.login)
        except BaseException:
            wire.abort()
            raise
        return wire


class Servers(Protocol):
    """Knows which server has which shards."""

    @property
    def is_cluster(self) -> bool:
        """Whether shards are spread, and spoken of by `SPUBLISH`."""
        ...

    async def locate(self) -> Mapping[Server, Set[int]]:
        """The servers and their shards; raises `OSError`, `TimeoutError` or `Refused`."""
        ...

    async def resolve(self, server: Server) -> Server:
        """Where `server` really is at the moment."""
        ...


class OneServer:
    """A server with a fixed address."""

    is_cluster = False

    def __init__(self, server: Server) -> None:
        self._server = server

    async def locate(self) -> Mapping[Server, Set[int]]:
        return {self._server: frozenset(range(SHARDS))}

    async def resolve(self, server: Server) -> Server:
        return server


class Sentinels:
    """The server that sentinels call the primary. It keeps its place here when it moves."""

    is_cluster = False

    def __init__(self, sentinels: Sequence[Server], service: str, server: Server) -> None:
        self._sentinels, self._service, self._server = list(sentinels), service, server

    async def locate(self) -> Mapping[Server, Set[int]]:
        return {self._server: frozenset(range(SHARDS))}

    async def resolve(self, server: Server) -> Server:
        """Ask one sentinel after the other, first the one that knew last time."""
        for sentinel in tuple(self._sentinels):
            try:
                found = await _ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
                place = replace(server, host=found[0].decode(), port=int(found[1]))
                await _see_that_it_leads(place)
            except (OSError, TimeoutError, Refused, TypeError, ValueError, IndexError):
                continue
            self._sentinels.remove(sentinel)
            self._sentinels.insert(0, sentinel)
            return place
        raise Refused("no sentinel knows a primary")


class Cluster:
    """The primaries of a cluster, by the slots of the shards' names."""

    is_cluster = True

    def __init__(self, seeds: Sequence[Server], names: Names) -> None:
        self._seeds, self._known = tuple(seeds), tuple(seeds)
        self._slots = {shard: key_slot(names.shard(shard)) for shard in range(SHARDS)}

    async def resolve(self, server: Server) -> Server:
        return server

    async def locate(self) -> Mapping[Server, Set[int]]:
        known = random.sample(self._known, len(self._known))
        for server in (*known, *self._seeds):
            try:
                ranges = _ranges(server, await _ask(server, "CLUSTER", "SLOTS"))
            except (OSError, TimeoutError, Refused, TypeError, ValueError, IndexError):
                continue
            self._known = tuple({owner for _, _, owner in ranges})
            return self._shared_out(ranges)
        raise Refused("no server of the cluster answers")

    def _shared_out(self, ranges: Sequence[tuple[int, int, Server]]) -> Mapping[Server, Set[int]]:
        found: dict[Server, set[int]] = {}
        for shard, slot in self._slots.items():
            for start, end, owner in ranges:
                if start <= slot <= end:
                    found.setdefault(owner, set()).add(shard)
        return found


def servers_of(url: RedisUrl, names: Names) -> Servers:
    """Whatever the URL speaks of."""
    tls = url.tls_context()
    if url.path is not None:
        return OneServer(Server("", 0, url.path, url.login))
    places = [Server(host, port, None, url.login, tls) for host, port in url.hosts]
    match url.kind:
        case "cluster":
            return Cluster(places, names)
        case "sentinel":
            sentinels = [replace(place, login=url.sentinel_login) for place in places]
            return Sentinels(
                sentinels, url.service or "", Server(f"{url.service} by sentinel", 0, None, url.login, tls)
            )
        case "single":
            return OneServer(places[0])


async def _ask(server: Server, *words: str) -> Any:
    """One question over a connection of its own."""
    async with asyncio.timeout(PATIENCE):
        wire = await server.dial(Wire)
        try:
            return await wire.ask(*words)
        finally:
            wire.abort()


async def _see_that_it_leads(server: Server) -> None:
    """Sentinels may be behind: a replica hears but is not heard."""
    role = await _ask(server, "ROLE")
    if role[0] != b"master":
        raise Refused("not a primary")


def _ranges(asked: Server, answer: Any) -> list[tuple[int, int, Server]]:
    """The slots and their owners; a server that does not know its own name is the one that was asked."""
    found: list[tuple[int, int, Server]] = []
    for start, end, primary, *_ in cast("list[Any]", answer):
        host = cast("bytes | None", primary[0])
        owner = replace(asked, host=host.decode() if host else asked.host, port=int(primary[1]))
        found.append((int(start), int(end), owner))
    if not found:
        raise ValueError("a cluster without slots")
    return found
