"""Batches on the bus: whatever was written is read again, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.fanout import Delivery, Packet
from realtime.fanout.bus.codec import TAG, Codec, NotOurs
from realtime.fanout.bus.shards import SHARDS, shard_of
from realtime.fanout.packets import frame_of

SECRET = b"a secret of the codec's tests"
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
names = st.lists(words, min_size=1, max_size=3).map(tuple)
packets = st.one_of(
    st.none(),
    st.builds(Packet, words),
    st.sampled_from([125, 126, 70_000]).map(lambda size: Packet("x" * size)),
)
loose = st.builds(
    Delivery,
    names,
    packets,
    st.none(),
    st.booleans(),
    st.none() | st.tuples(words, st.integers(0, 2**53)),
    *[st.none() | words] * 4,
)
entries = st.builds(Delivery, words.map(lambda name: (name,)), packets, st.integers(1, 2**53))


def plain(delivery: Delivery) -> tuple[object, ...]:
    """What a delivery says; of an order that is not given, who is spared does not matter."""
    packet = delivery.packet
    ordered = delivery.join or delivery.leave or delivery.close
    return (
        delivery.channels,
        (packet.text, packet.frame) if packet else None,
        delivery.position,
        delivery.ephemeral,
        (delivery.join, delivery.leave or None, delivery.close or None, delivery.but_for)
        if ordered
        else None,
        delivery.origin,
    )


@given(
    st.lists(loose | entries, max_size=5), st.integers(0, SHARDS - 1), st.integers(1, 2**53), st.booleans()
)
def test_what_is_written_is_read(deliveries: list[Delivery], shard: int, number: int, heal: bool) -> None:
    data = Codec("one", SECRET).seal(shard, number, heal, deliveries)

    batch = Codec("other", SECRET).open(data, shard)

    assert (batch.node, batch.shard, batch.number, batch.heal) == ("one", shard, number, heal)
    assert list(map(plain, batch.deliveries)) == list(map(plain, deliveries))
    assert Codec("one", SECRET).is_own(data)
    assert not Codec("on", SECRET).is_own(data)


@given(st.data())
def test_whoever_changes_a_byte_is_a_forger(data: st.DataObject) -> None:
    sealed = bytearray(Codec("one", SECRET).seal(3, 1, False, [Delivery(("a",), Packet("x"))]))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(NotOurs, match="forged"):
        Codec("other", SECRET).open(bytes(sealed), 3)


class Careless(Codec):
    """Someone who knows the secret and writes what they like."""

    def sign(self, body: bytes) -> bytes:
        return self._tag(body) + body


@given(st.binary(max_size=200))
def test_a_signature_does_not_make_rubbish_readable(body: bytes) -> None:
    with pytest.raises(NotOurs, match="malformed"):
        Codec("other", SECRET).open(Careless("one", SECRET).sign(body), 3)


@pytest.mark.parametrize(
    "rows",
    [
        b'[["a",null,0,false,null]]',
        b'[["a",null,true,false,null]]',
        b'[["a",null,1.5,false,null]]',
        b'[[["a","b"],null,1,false,null]]',
        b'[[[],null,null,false,null]]',
        b'[[[1],null,null,false,null]]',
        b'[[1,null,null,false,null]]',
        b'[["a",null,null,0,null]]',
        b'[["a",null,null,false,1]]',
        b'[["a",null,null,false]]',
        b'[["a",null,null,false,null,null]]',
        b'[["a",null,null,false,null,["b"],null,null,null]]',
        b'[["a",null,null,false,null,["b","c"],null,null,null]]',
        b'[["a",null,null,false,null,null,1,null,null]]',
        b'[["a",-1,null,false,null]]',
        b'[["a",9,null,false,null]]',
        b'[["a","1",null,false,null]]',
        b'[["a",0,null,false,null]]',
        b'[{}]',
        b'{}',
        b'null',
    ],
)  # fmt: skip
def test_rows_that_are_no_deliveries_are_malformed(rows: bytes) -> None:
    body = b'[2,"one",3,1,false,' + rows + b"]\n"

    with pytest.raises(NotOurs, match="malformed"):
        Codec("other", SECRET).open(Careless("one", SECRET).sign(body), 3)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\x024x",
        b"\x81\x034x",
        b"\x81\x023x",
        b"\x81\x824x",
        b"\x81\x00",
        b"\x81",
        b"\x81\x024\xff",
        frame_of(b"4" + b"x" * 200)[:-1],
        b"\x81\x7e\x00\x024x",
    ],
)
def test_frames_that_no_socket_should_be_sent_are_malformed(frame: bytes) -> None:
    body = b'[2,"one",3,1,false,[["a",%d,null,false,null]]]\n' % len(frame) + frame

    with pytest.raises(NotOurs, match="malformed"):
        Codec("other", SECRET).open(Careless("one", SECRET).sign(body), 3)


def test_a_message_is_worth_nothing_on_another_shard_or_with_another_secret() -> None:
    data = Codec("one", SECRET).seal(3, 1, False, [])

    with pytest.raises(NotOurs, match="malformed"):
        Codec("other", SECRET).open(data, 4)
    with pytest.raises(NotOurs, match="forged"):
        Codec("other", b"another secret").open(data, 3)
    assert len(data) > TAG


def test_shards_are_where_they_have_always_been() -> None:
    """Nodes of different versions meet only while this holds."""
    assert [shard_of(name) for name in ("user:1", "conversation:1", "session:ü")] == [2, 42, 17]
