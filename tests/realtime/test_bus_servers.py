"""The bus over everything a URL can name: a cluster, a primary that sentinels watch, a socket file, TLS."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from common.redis_url import RedisUrl
from realtime.fanout.bus.shards import SHARDS, Names, shard_of
from realtime.redis_client import redis_client
from tests.bus_nodes import KEY, Book, BusNode, bus_node, numbered
from tests.clients import eventually
from tests.conftest import MakeSettings, SignUp, StartNode
from tests.valkeys import SERVICE, SentinelValkey, Valkey, ValkeyCluster

NAMES = Names(KEY.space)
HASTY = ("--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0")
"""A primary that neither waits for more replicas nor, at its end, for those it has."""


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ValkeyCluster]:
    async with ValkeyCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@asynccontextmanager
async def pair(url: str, book: Book | None = None) -> AsyncIterator[tuple[BusNode, BusNode]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(bus_node(url, "one", book))
        yield one, await stack.enter_async_context(bus_node(url, "other", book))


async def meets(one: BusNode, other: BusNode, *names: str) -> None:
    """What one says on these channels, the other hears, in order."""
    ears = {name: other.listen(name) for name in names}
    await other.hears()
    for number in range(20):
        for name in names:
            one.fanout.deliver(numbered(name, number))
        await asyncio.sleep(0)
    expected = [f'2["said",{number}]' for number in range(20)]
    for ear in ears.values():
        await eventually(lambda ear=ear: ear.heard == expected, 15)
    for ear in ears.values():
        other.local.leave_all(ear)


async def test_shards_are_spread_over_a_cluster(cluster: ValkeyCluster) -> None:
    names = [f"session:{number}" for number in range(300)]
    assert len({shard_of(name) for name in names}) == SHARDS

    async with pair(cluster.url) as (one, other):
        await meets(one, other, *names)
        held = [len(await member.ask("PUBSUB", "SHARDCHANNELS")) for member in cluster.members]

    assert all(held)
    assert sum(held) == SHARDS + 2 * len(cluster.members), "a shard lives on one server, an ear on each"


async def test_a_slot_that_moves_takes_its_shard_along(cluster: ValkeyCluster) -> None:
    name, book = "conversation:1", Book()
    slot = key_slot(NAMES.shard(shard_of(name)))
    shares = await cluster.members[0].ask("CLUSTER", "SLOTS")
    owner = next(primary[1] for start, end, primary, *_ in shares if start <= slot <= end)
    target = next(member for member in cluster.members if member.port != owner)
    async with pair(cluster.url, book) as (one, other):
        ear = other.listen(name, head=0)
        await other.hears()
        one.fanout.deliver(book.write(name, "before"))
        await eventually(lambda: ear.heard == ["before"])
        await eventually(lambda: one.bus.is_at_rest and other.bus.is_at_rest, 15)

        async def is_there() -> bool:
            return (await target.ask("PUBSUB", "SHARDNUMSUB", NAMES.shard(shard_of(name))))[1] == 1

        await cluster.move(slot, target)
        await eventually(is_there, 15)
        await eventually(lambda: other.bus.is_at_rest, 15)
        one.fanout.deliver(book.write(name, "by who has not noticed"))

        await eventually(lambda: ear.heard == ["before", "by who has not noticed"], 15)
        one.fanout.deliver(book.write(name, "after"))
        await eventually(lambda: ear.heard[-1] == "after", 15)
        await eventually(lambda: one.bus.is_up and other.bus.is_up, 15)


async def test_a_member_that_is_away_makes_a_node_not_ready_until_it_is_back(cluster: ValkeyCluster) -> None:
    book, away = Book(), cluster.members[2]
    names = [f"conversation:{number}" for number in range(200)]
    async with pair(cluster.url, book) as (one, other):
        ears = [other.listen(name, head=0) for name in names]
        await other.hears()
        away.signal(signal.SIGSTOP)
        await eventually(lambda: not other.bus.is_up, 10)
        for name in names:
            one.fanout.deliver(book.write(name, name))
        away.signal(signal.SIGCONT)

        await eventually(lambda: all(ear.heard for ear in ears), 20)
        await eventually(lambda: one.bus.is_up and other.bus.is_up, 20)
        assert [len(ear.heard) for ear in ears] == [1] * len(names)


async def test_two_nodes_of_plaza_over_a_cluster_are_one(
    cluster: ValkeyCluster, make_settings: MakeSettings, start_node: StartNode, join: SignUp
) -> None:
    """Presence and rate budgets live in Redis, too."""
    settings = make_settings(redis_url=cluster.url)
    one, other = await start_node(settings), await start_node(settings)
    ann, bob = await join("ann", one.url), await join("bob", other.url)
    await ann.befriend(bob)
    bobs = await bob.device(other.url)

    anns = await ann.device(one.url)
    await bobs.wait_for("user_online", lambda said: said["userId"] == ann.id)
    sent = [await anns.send(f"{number}", to=bob.id) for number in range(10)]
    await bobs.wait_until(lambda: len(bobs.all("new_message")) == len(sent))
    assert [message["seq"] for message in bobs.all("new_message")] == list(range(1, 11))
    assert (await ann.http.get("/health")).data["checks"]["redis"]["status"] == "ok"
    assert (await ann.http.get("/readyz")).status == 200


async def still_knows(client: Redis) -> bool:
    """Whether the client finds the primary, and on it what was written before; sentinels take their time."""
    try:
        return await client.get("who") is not None
    except (RedisError, OSError):
        return False


async def test_the_primary_is_whom_sentinels_name(tmp_path: Path) -> None:
    book, name = Book(), "conversation:1"
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(Valkey(tmp_path / "old", *HASTY))
        new = await stack.enter_async_context(
            Valkey(tmp_path / "new", "--replicaof", f"127.0.0.1 {old.port}")
        )
        await eventually(lambda: follows(new), 10)
        sentinel = await stack.enter_async_context(SentinelValkey(tmp_path / "sentinel", old))
        await eventually(lambda: knows_a_replica(sentinel), 20)
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/{SERVICE}/0"
        client = redis_client(RedisUrl.parse(url))
        stack.push_async_callback(client.aclose)
        await client.set("who", "old")
        async with pair(url, book) as (one, other):
            ear = other.listen(name, head=0)
            await other.hears()
            one.fanout.deliver(book.write(name, "before"))
            await eventually(lambda: ear.heard == ["before"])

            await old.down()
            one.fanout.deliver(book.write(name, "while nobody leads"))

            await eventually(lambda: ear.heard == ["before", "while nobody leads"], 30)
            await eventually(lambda: one.bus.is_up and other.bus.is_up, 30)
            assert (await new.ask("PUBSUB", "NUMSUB", NAMES.shard(shard_of(name))))[1] == 1
            one.fanout.deliver(book.write(name, "after"))
            await eventually(lambda: ear.heard[-1] == "after")
        await eventually(lambda: still_knows(client), 30)  # the client for everything else follows, too


async def follows(replica: Valkey) -> bool:
    return (await replica.ask("INFO", "replication"))["master_link_status"] == "up"


async def knows_a_replica(sentinel: Valkey) -> bool:
    return len(await sentinel.ask("SENTINEL", "REPLICAS", SERVICE)) == 1


async def test_a_socket_file_with_a_password(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    async with Valkey(tmp_path / "valkey", "--unixsocket", str(path)) as valkey:
        await valkey.ask("ACL", "SETUSER", "plaza", "on", ">open:sesame", "~*", "&*", "+@all")
        await valkey.ask("ACL", "SETUSER", "default", "off")
        url = f"unix://plaza:open%3Asesame@{path}"
        async with pair(url) as (one, other):
            await meets(one, other, "session:1")
        client = redis_client(RedisUrl.parse(url))
        assert await client.set("key", "value")
        await client.aclose()


ANONYMOUS = "AECDH-AES256-SHA:@SECLEVEL=0"
"""Encrypts without certificates: nothing to make, nothing to keep."""


@asynccontextmanager
async def behind_tls(port: int) -> AsyncIterator[int]:
    """A door to a plain port that speaks TLS only."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, outer), carry(inner, writer), return_exceptions=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ANONYMOUS)
    door = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield door.sockets[0].getsockname()[1]
    finally:
        door.close()


async def test_a_server_behind_tls(tmp_path: Path) -> None:
    async with Valkey(tmp_path / "valkey") as valkey, behind_tls(valkey.port) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none&ssl_ciphers={ANONYMOUS}"
        async with pair(url) as (one, other):
            await meets(one, other, "session:1")
        client = redis_client(RedisUrl.parse(url))
        assert await client.set("key", "value")
        await client.aclose()


def test_certificates_are_checked_unless_told_otherwise() -> None:
    context = RedisUrl.parse("rediss://redis.example").tls_context()

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
