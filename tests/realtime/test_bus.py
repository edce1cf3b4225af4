"""The bus between nodes: who hears what, in which order, and what is done about what gets lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from realtime.fanout import Delivery, Packet
from realtime.fanout.bus import outbox
from realtime.fanout.bus.shards import LINGER, SHARDS, Interest, shard_of
from tests.bus_nodes import KEY, Book, BusNode, bus_node, numbered
from tests.clients import eventually
from tests.metrics import Figure
from tests.valkeys import Valkey


@pytest.fixture(scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Valkey]:
    async with Valkey(tmp_path_factory.mktemp("bus")) as running:
        yield running


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def nodes(valkey: Valkey, book: Book) -> AsyncIterator[tuple[BusNode, BusNode]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(bus_node(valkey.url, "one", book))
        yield one, await stack.enter_async_context(bus_node(valkey.url, "other", book))


async def subscribers(valkey: Valkey, shard: int) -> int:
    return (await valkey.ask("PUBSUB", "NUMSUB", f"{{{KEY.space}:bus:{shard}}}"))[1]


def other_shard(*channels: str) -> str:
    """A channel on a shard that none of these is on."""
    taken = {shard_of(channel) for channel in channels}
    return next(name for name in map("session:{}".format, range(1000)) if shard_of(name) not in taken)


def same_shard(channel: str) -> str:
    """Another channel on the same shard."""
    shard = shard_of(channel)
    return next(name for name in map("session:{}".format, range(10_000)) if shard_of(name) == shard)


async def test_every_channel_is_heard_in_the_order_of_its_speaker(nodes: tuple[BusNode, BusNode]) -> None:
    one, other = nodes
    names = [f"session:{number}" for number in range(100)]
    ears = {name: other.listen(name) for name in names}
    await other.hears()

    for number in range(50):
        for name in names:
            one.fanout.deliver(numbered(name, number))
        await asyncio.sleep(0)

    expected = [f'2["said",{number}]' for number in range(50)]
    for ear in ears.values():
        await eventually(lambda ear=ear: len(ear.heard) == 50)
        assert ear.heard == expected


async def test_what_is_said_to_many_channels_reaches_each_listener_once(
    nodes: tuple[BusNode, BusNode],
) -> None:
    one, other = nodes
    names = [f"user:{number}" for number in range(5000)]
    ears = [other.listen(name) for name in names]
    await other.hears()

    one.fanout.deliver(Delivery(tuple(names), Packet('2["hello",{}]'), ephemeral=True, origin="ann"))

    await eventually(lambda: all(ear.heard for ear in ears))
    assert {len(ear.heard) for ear in ears} == {1}


async def test_orders_cross_whole(nodes: tuple[BusNode, BusNode]) -> None:
    one, other = nodes
    session, kept = other.listen("session:1", "user:1"), other.listen("user:1")
    kept.id = "the one that stays"
    await other.hears()

    one.fanout.deliver(Delivery(("user:1",), Packet('2["come",{}]'), join=("session:room", 0)))
    one.fanout.deliver(Delivery(("session:room",), Packet('2["in",{}]')))
    one.fanout.close("user:1", "signed_out", but_for=kept.id)

    await eventually(lambda: session.closed == ["signed_out"])
    assert "session:room" in session.channels
    assert kept.closed == []
    one.fanout.deliver(Delivery(("user:1",), leave="session:room"))
    await eventually(lambda: "session:room" not in session.channels | kept.channels)


async def test_a_node_hears_only_the_shards_it_has_listeners_for(
    valkey: Valkey, nodes: tuple[BusNode, BusNode]
) -> None:
    one, other = nodes
    here, elsewhere = "session:here", other_shard("session:here")
    one.listen(here)
    other.listen(elsewhere)
    await one.hears()
    await other.hears()

    assert await subscribers(valkey, shard_of(here)) == 1
    assert await subscribers(valkey, shard_of(elsewhere)) == 1
    channels = await valkey.ask("PUBSUB", "CHANNELS", f"{{{KEY.space}:bus:*}}")
    assert len(channels) == 2


def test_a_shard_is_let_go_only_when_nobody_needed_it_for_a_while() -> None:
    interest = Interest()
    shard = interest.add("session:1")
    assert shard is not None

    interest.remove("session:1", now=100.0)
    assert interest.expire(100.0 + LINGER - 1) == []
    assert interest.add("session:1") is None, "it is still heard: nothing to subscribe to"
    interest.remove("session:1", now=200.0)
    assert interest.expire(200.0 + LINGER) == [shard]
    assert interest.add("session:1") == shard


async def test_a_shard_that_is_let_go_is_unsubscribed(
    valkey: Valkey, nodes: tuple[BusNode, BusNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = nodes
    monkeypatch.setattr("realtime.fanout.bus.shards.LINGER", 0.0)
    ear = other.listen("session:1")
    await other.hears()
    assert await subscribers(valkey, shard_of("session:1")) == 1

    other.local.leave_all(ear)

    async def is_let_go() -> bool:
        return await subscribers(valkey, shard_of("session:1")) == 0

    await eventually(is_let_go)
    monkeypatch.undo()
    again = other.listen("session:1")
    await other.hears()
    one.fanout.deliver(numbered("session:1", 1))
    await eventually(lambda: again.heard == ['2["said",1]'])


async def test_ten_thousand_joins_at_once_are_at_most_a_subscription_per_shard(
    valkey: Valkey, nodes: tuple[BusNode, BusNode]
) -> None:
    async def subscriptions() -> int:
        stats = await valkey.ask("INFO", "commandstats")
        found = stats if isinstance(stats, dict) else {}
        return found.get("cmdstat_subscribe", {}).get("calls", 0)

    one, other = nodes
    before = await subscriptions()
    ears = [other.listen(f"session:{number}") for number in range(10_000)]
    await other.hears()

    assert 0 < await subscriptions() - before <= SHARDS
    for number in range(0, 10_000, 100):
        one.fanout.deliver(numbered(f"session:{number}", number))
    await eventually(lambda: sum(len(ear.heard) for ear in ears) == 100)


async def test_who_joins_while_others_talk_misses_nothing(nodes: tuple[BusNode, BusNode], book: Book) -> None:
    one, other = nodes
    names = [f"conversation:{number}" for number in range(50)]

    async def talk() -> None:
        for number in range(100):
            for name in names:
                one.fanout.deliver(book.write(name, f"{number}"))
            await asyncio.sleep(0)

    talking = asyncio.create_task(talk())
    ears = {}
    for name in names:
        await asyncio.sleep(0.001)
        head = (await book.heads([name.partition(":")[2]])).get(name.partition(":")[2], 0)
        ears[name] = (head, other.listen(name, head=head))
    await talking

    for head, ear in ears.values():
        expected = [str(number) for number in range(head, 100)]
        await eventually(lambda ear=ear, expected=expected: ear.heard == expected)


async def test_what_was_said_before_a_shard_is_heard_is_read(
    nodes: tuple[BusNode, BusNode], book: Book
) -> None:
    """Somebody joins with a head they have just read: what is said until Redis knows is said to nobody."""
    one, other = nodes
    published = Figure("plaza_bus_published_total")
    one.fanout.deliver(book.write("conversation:1", "to nobody"))
    await eventually(lambda: published.grown() == 1)

    ear = other.listen("conversation:1", head=0)

    await eventually(lambda: ear.heard == ["to nobody"])


async def test_a_joined_stream_is_compared_even_if_its_first_words_came_before_its_listeners(
    nodes: tuple[BusNode, BusNode], book: Book
) -> None:
    """Shards keep no order among each other: an entry may overtake the word that one listens to it now."""
    one, other = nodes
    name = "conversation:new"
    ear = other.listen("user:1", same_shard(name))
    await other.hears()
    await eventually(lambda: other.bus.is_at_rest)
    book.write(name, "overtook")

    one.fanout.deliver(Delivery(("user:1",), join=(name, 0)))

    await eventually(lambda: ear.heard == ["overtook"])


async def test_a_packet_too_large_for_the_bus_is_read_where_it_is_stored(
    nodes: tuple[BusNode, BusNode], book: Book
) -> None:
    one, other = nodes
    lost = Figure("plaza_bus_lost_total", why="too_large")
    ear, stranger = other.listen("conversation:1", head=0), other.listen("session:1")
    await other.hears()
    large = "x" * outbox.MAX_FRAME

    one.fanout.deliver(book.write("conversation:1", large))
    one.fanout.deliver(Delivery(("session:1",), Packet(large)))
    one.fanout.deliver(numbered("session:1", 1))

    await eventually(lambda: ear.heard == [large])
    await eventually(lambda: stranger.heard == ['2["said",1]'])
    assert lost.grown() == 2


async def test_a_flood_is_bounded_and_healed(
    nodes: tuple[BusNode, BusNode], book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = nodes
    monkeypatch.setattr(outbox, "MAX_WAITING", 100)
    lost = Figure("plaza_bus_lost_total", why="full")
    ear = other.listen("conversation:1", head=0)
    await other.hears()

    for number in range(1000):
        one.fanout.deliver(book.write("conversation:1", str(number)))

    assert len(one.bus.outbox) == 100
    assert lost.grown() == 900
    await eventually(lambda: ear.heard == [str(number) for number in range(1000)])


async def test_what_waits_at_the_end_is_still_said(valkey: Valkey) -> None:
    """More than one turn of publishing takes."""
    text = "x" * 10_000
    async with bus_node(valkey.url, "other") as other:
        ear = other.listen("session:1")
        await other.hears()
        async with bus_node(valkey.url, "one") as one:
            for _ in range(1000):
                one.fanout.deliver(Delivery(("session:1",), Packet(text)))
        await eventually(lambda: len(ear.heard) == 1000)


async def test_two_plazas_over_one_redis_do_not_hear_each_other(valkey: Valkey, tmp_path: Path) -> None:
    strange = type(KEY)(KEY.space, b"another secret, just as long as that")
    forged = Figure("plaza_bus_lost_total", why="forged")
    async with bus_node(valkey.url, "one") as one, bus_node(valkey.url, "two", key=strange) as two:
        ear = two.listen("session:1")
        await two.hears()
        one.fanout.deliver(numbered("session:1", 1))
        await eventually(lambda: forged.grown() == 1)
        assert ear.heard == []
