"""A bus that is cut, frozen, refused, flooded with rubbish, or lied to."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from common.ids import new_id
from realtime.fanout.bus.codec import Codec
from realtime.fanout.bus.shards import Names, shard_of
from tests.bus_nodes import KEY, Book, BusNode, bus_node, numbered
from tests.clients import eventually
from tests.metrics import Figure
from tests.valkeys import Valkey

STREAM, CHANNEL = "conversation:1", "session:1"
NAMES = Names(KEY.space)
Nodes = tuple[BusNode, BusNode]


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    async with Valkey(tmp_path / "bus") as running:
        yield running


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def nodes(valkey: Valkey, book: Book) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(bus_node(valkey.url, "one", book))
        yield one, await stack.enter_async_context(bus_node(valkey.url, "other", book))


def lost(why: str) -> Figure:
    return Figure("plaza_bus_lost_total", why=why)


async def say_raw(valkey: Valkey, channel: str, *messages: bytes) -> None:
    """Publish as somebody who got hold of Redis."""
    async with Redis(host="127.0.0.1", port=valkey.port) as client:
        for message in messages:
            await client.publish(NAMES.shard(shard_of(channel)), message)


async def both_up(nodes: Nodes) -> None:
    for node in nodes:
        await node.hears()


async def test_rubbish_is_counted_and_nothing_else(valkey: Valkey, nodes: Nodes) -> None:
    one, other = nodes
    ear = other.listen(CHANNEL)
    await other.hears()
    shard = shard_of(CHANNEL)
    codec = Codec("stranger", KEY.secret)
    good = codec.seal(shard, 1, False, [numbered(CHANNEL, 1)])
    elsewhere = Codec("stranger", KEY.secret).seal((shard + 1) % 64, 1, False, [numbered(CHANNEL, 1)])
    forged, malformed, large = lost("forged"), lost("malformed"), lost("too_large")

    await say_raw(valkey, CHANNEL, b"", b"x", b"{}", b"\0" * 1000, good[:-1], good[:20], good[16:])
    await say_raw(valkey, CHANNEL, elsewhere)
    await say_raw(valkey, CHANNEL, b"x" * 5_000_000)
    one.fanout.deliver(numbered(CHANNEL, 2))

    await eventually(lambda: ear.heard == ['2["said",2]'])
    assert (forged.grown(), malformed.grown(), large.grown()) == (7, 1, 1)


async def test_a_recorded_message_said_again_is_not_heard_again(valkey: Valkey, nodes: Nodes) -> None:
    one, other = nodes
    ear = other.listen(CHANNEL)
    await other.hears()
    repeated = lost("repeated")
    async with Redis(host="127.0.0.1", port=valkey.port) as client, client.pubsub() as spy:
        await spy.subscribe(NAMES.shard(shard_of(CHANNEL)))
        await spy.get_message(timeout=5)
        one.fanout.deliver(numbered(CHANNEL, 1))
        recorded: Any = await spy.get_message(timeout=5)
    await eventually(lambda: len(ear.heard) == 1)
    heard_by_one = one.listen(CHANNEL)
    await one.hears()

    await say_raw(valkey, CHANNEL, *[recorded["data"]] * 3)
    one.fanout.deliver(numbered(CHANNEL, 2))

    await eventually(lambda: ear.heard == ['2["said",1]', '2["said",2]'])
    assert repeated.grown() == 3
    assert heard_by_one.heard == ['2["said",2]'], "what we said ourselves we do not hear from Redis"


async def test_a_number_left_out_makes_a_node_look(valkey: Valkey, nodes: Nodes, book: Book) -> None:
    """Redis lost a message and nobody noticed: the next one tells."""
    _, other = nodes
    ear = other.listen(STREAM, head=0)
    await other.hears()
    shard, codec = shard_of(STREAM), Codec(new_id(), KEY.secret)
    await say_raw(valkey, STREAM, codec.seal(shard, 1, False, [book.write(STREAM, "first")]))
    await eventually(lambda: ear.heard == ["first"])
    book.write(STREAM, "lost")

    await say_raw(valkey, STREAM, codec.seal(shard, 3, False, []))

    await eventually(lambda: ear.heard == ["first", "lost"])


async def test_killed_connections_come_back_at_once_and_leave_nothing_behind(
    valkey: Valkey, nodes: Nodes, book: Book
) -> None:
    one, other = nodes
    ear = other.listen(STREAM, head=0)
    await other.hears()
    expected: list[str] = []

    async def is_alone() -> bool:
        channel = NAMES.shard(shard_of(STREAM))
        return (await valkey.ask("PUBSUB", "NUMSUB", channel))[1] == 1

    for _ in range(5):
        await valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
        for _ in range(20):
            expected.append(str(len(expected)))
            one.fanout.deliver(book.write(STREAM, expected[-1]))
        await both_up(nodes)
        await eventually(lambda: ear.heard == expected, 15)
        await eventually(is_alone, 15)


async def test_a_node_cut_off_for_what_it_could_not_take_reads_what_it_missed(
    valkey: Valkey, nodes: Nodes, book: Book
) -> None:
    _, other = nodes
    await valkey.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 0 0")
    ear = other.listen(STREAM, head=0)
    await other.hears()
    await eventually(lambda: other.bus.is_at_rest)
    flood = "for _ = 1, 20 do redis.call('PUBLISH', ARGV[1], string.rep('x', 10000)) end"
    book.write(STREAM, "missed")

    await valkey.ask("EVAL", flood, 0, NAMES.shard(shard_of(STREAM)))

    await eventually(lambda: ear.heard == ["missed"], 15)
    assert (await valkey.ask("INFO", "stats"))["client_output_buffer_limit_disconnections"] >= 1
    await both_up(nodes)


async def test_a_frozen_redis_is_noticed_by_its_silence_and_healed_within_five_seconds_of_its_return(
    valkey: Valkey, nodes: Nodes, book: Book
) -> None:
    one, other = nodes
    ear, here = other.listen(STREAM, head=0), one.listen(STREAM, head=0)
    await both_up(nodes)
    valkey.signal(signal.SIGSTOP)

    await eventually(lambda: not (one.bus.is_up or other.bus.is_up), 10)
    for number in range(50):
        one.fanout.deliver(book.write(STREAM, str(number)))
    everything = [str(number) for number in range(50)]
    await asyncio.wait_for(other.bus.settle(), 3)
    await eventually(lambda: here.heard == everything)
    assert ear.heard == []
    valkey.signal(signal.SIGCONT)
    back = time.monotonic()

    await eventually(lambda: ear.heard == everything, 15)
    assert time.monotonic() - back < 5
    await both_up(nodes)


async def test_a_short_silence_loses_nothing(valkey: Valkey, nodes: Nodes) -> None:
    one, other = nodes
    ear = other.listen(CHANNEL)
    await other.hears()
    lines = Figure("plaza_bus_lost_total", why="down")
    valkey.signal(signal.SIGSTOP)
    for number in range(100):
        one.fanout.deliver(numbered(CHANNEL, number))
        await asyncio.sleep(0)
    valkey.signal(signal.SIGCONT)

    await eventually(lambda: len(ear.heard) == 100)
    assert lines.grown() == 0


@pytest.fixture
async def someone_else(valkey: Valkey, book: Book) -> AsyncIterator[BusNode]:
    """A node with a login of its own, which can be taken from it."""
    await valkey.ask("ACL", "SETUSER", "else", "on", ">secret", "~*", "&*", "+@all")
    async with bus_node(valkey.url.replace("//", "//else:secret@"), "else", book) as node:
        yield node


async def test_refused_publishing_is_seen_makes_pauses_and_is_healed(
    valkey: Valkey, nodes: Nodes, someone_else: BusNode, book: Book
) -> None:
    """The speaker hears itself all the time; only what it says on shards is refused."""
    _, other = nodes
    ear = other.listen(STREAM, head=0)
    await other.hears()
    await eventually(lambda: other.bus.is_at_rest)
    failed = lost("publish_failed")
    await valkey.ask("ACL", "SETUSER", "else", "resetchannels", f"&{{{KEY.space}:bus:*}}:*")

    for number in range(3):
        someone_else.fanout.deliver(book.write(STREAM, str(number)))
        await eventually(lambda number=number: failed.grown() == number + 1)
    refused = [entry for entry in await valkey.ask("ACL", "LOG") if b"channel" in entry]
    assert sum(entry[1] for entry in refused) < 20, "tried again and again without a pause"
    assert someone_else.bus.is_up
    await valkey.ask("ACL", "SETUSER", "else", "&*")

    await eventually(lambda: ear.heard == ["0", "1", "2"], 10)


async def test_a_node_that_may_not_hear_a_shard_it_needs_is_not_up(
    valkey: Valkey, nodes: Nodes, someone_else: BusNode, book: Book
) -> None:
    one, _ = nodes
    await valkey.ask("ACL", "SETUSER", "else", "resetchannels", f"&{{{KEY.space}:bus:*}}:*")
    ear = someone_else.listen(STREAM, head=0)
    await eventually(lambda: not someone_else.bus.is_up)
    one.fanout.deliver(book.write(STREAM, "not for everybody"))

    await valkey.ask("ACL", "SETUSER", "else", "&*")

    await eventually(lambda: someone_else.bus.is_up, 10)
    await eventually(lambda: ear.heard == ["not for everybody"])


async def test_what_a_node_says_while_it_alone_is_cut_off_reaches_the_others_when_it_is_back(
    valkey: Valkey, nodes: Nodes, someone_else: BusNode, book: Book
) -> None:
    _, other = nodes
    ear = other.listen(STREAM, head=0)
    await other.hears()
    await eventually(lambda: other.bus.is_at_rest)
    down = lost("down")
    await valkey.ask("ACL", "SETUSER", "else", "off")
    await valkey.ask("CLIENT", "KILL", "USER", "else")
    await eventually(lambda: not someone_else.bus.is_up)

    someone_else.fanout.deliver(book.write(STREAM, "to the wind"))
    assert (down.grown(), other.bus.is_up) == (1, True)
    await valkey.ask("ACL", "SETUSER", "else", "on")

    await eventually(lambda: ear.heard == ["to the wind"], 10)


async def test_a_redis_that_was_away_is_found_again_and_what_was_missed_is_read(
    valkey: Valkey, nodes: Nodes, book: Book
) -> None:
    one, other = nodes
    ear = other.listen(STREAM, head=0)
    await other.hears()
    down = lost("down")
    await valkey.down()
    await eventually(lambda: not (one.bus.is_up or other.bus.is_up))

    one.fanout.deliver(book.write(STREAM, "while it was away"))
    assert down.grown() == 1
    late = other.listen(CHANNEL)
    began = time.monotonic()
    await other.bus.settle()
    assert time.monotonic() - began < 0.5, "nobody waits for a bus that is down"
    await valkey.up()
    back = time.monotonic()

    await eventually(lambda: ear.heard == ["while it was away"], 10)
    assert time.monotonic() - back < 5
    await both_up(nodes)
    one.fanout.deliver(numbered(CHANNEL, 1))
    await eventually(lambda: late.heard == ['2["said",1]'])


async def test_a_bus_stops_in_time_while_redis_says_nothing(valkey: Valkey) -> None:
    async with bus_node(valkey.url, "one") as one:
        valkey.signal(signal.SIGSTOP)
        one.fanout.deliver(numbered(CHANNEL, 1))
        began = time.monotonic()
    assert time.monotonic() - began < 4
    valkey.signal(signal.SIGCONT)
