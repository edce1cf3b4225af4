"""One frame to many sockets, by a ring of the kernel's or one after the other: the same answers both ways."""

import errno
import socket as sockets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from realtime.fanout.ring import NoRing, Ring
from realtime.fanout.sending import MANY, NOWHERE, Sender, send_each

SendAll = Callable[[Sequence[sockets.socket], bytes], list[int]]
Pair = tuple[sockets.socket, sockets.socket]


def ring(entries: int = 8) -> Ring:
    try:
        return Ring(entries)
    except NoRing as refusal:
        pytest.skip(f"no ring here: {refusal}")


@pytest.fixture(params=["ring", "each"])
def send_all(request: pytest.FixtureRequest) -> SendAll:
    return ring().send_all if request.param == "ring" else send_each


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Connected sockets, ours and theirs."""
    with ExitStack() as stack:
        made = [sockets.socketpair() for _ in range(21)]
        for ours, theirs in made:
            stack.enter_context(ours)
            stack.enter_context(theirs)
            ours.setblocking(False)
            theirs.setblocking(False)
        yield made


def fill(socket: sockets.socket) -> None:
    with pytest.raises(BlockingIOError):
        while True:
            socket.send(b"x" * 65_536)


def test_everybody_gets_every_frame_in_order(send_all: SendAll, pairs: list[Pair]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    for frame in (b"one", b"two", b"a longer one", b"the last"):
        assert send_all(ours, frame) == [len(frame)] * len(pairs)

    assert {one.recv(100) for one in theirs} == {b"onetwoa longer onethe last"}


def test_each_socket_has_an_answer_of_its_own(send_all: SendAll, pairs: list[Pair]) -> None:
    targets = [ours for ours, _ in pairs]
    fill(targets[3])
    pairs[5][1].close()
    targets[9] = NOWHERE
    fill(targets[20])

    taken = send_all(targets, b"frame")

    assert [taken[3], taken[5], taken[9], taken[20]] == [0, -1, -1, 0]
    others = [place for place in range(21) if place not in {3, 5, 9, 20}]
    assert {taken[place] for place in others} == {5}
    assert {pairs[place][1].recv(100) for place in others} == {b"frame"}


def test_what_a_socket_takes_of_a_long_frame_is_said(send_all: SendAll) -> None:
    frame = bytes(range(256)) * 400
    tcp = sockets.create_server(("127.0.0.1", 0))
    with tcp, sockets.create_connection(tcp.getsockname()) as client, tcp.accept()[0] as server:
        client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        server.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
        server.setblocking(False)

        (taken,) = send_all([server], frame)

        assert 0 < taken < len(frame)
        assert client.recv(taken, sockets.MSG_WAITALL) == frame[:taken]


def test_a_ring_goes_on_after_its_end_and_after_errors(pairs: list[Pair]) -> None:
    small, ours = ring(4), [ours for ours, _ in pairs]
    for round_ in range(50):
        targets = [*ours[: round_ % 7], NOWHERE, *ours[:3]]
        assert small.send_all(targets, b"%d" % round_).count(-1) == 1
    assert not small.is_broken


class Deaf:
    """A system library whose `syscall` does nothing, from the first call on or from a later one."""

    def __init__(self, real: object, calls: int) -> None:
        self._real, self._calls = real, calls

    def syscall(self, *arguments: object) -> int:
        if self._calls > 0:
            self._calls -= 1
            return self._real.syscall(*arguments)  # type: ignore[attr-defined]
        return -errno.EBUSY


@pytest.mark.parametrize("calls", [0, 1])
def test_what_a_ring_does_not_begin_with_is_sent_the_other_way(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    broken, sender = ring(16), Sender()
    monkeypatch.setattr(broken, "_libc", Deaf(broken._libc, calls))
    monkeypatch.setattr(sender, "_ring", broken)
    targets = [ours for ours, _ in pairs] * 2
    assert len(targets) >= MANY

    for _ in range(2):
        assert sender.send_all(targets, b"frame") == [5] * len(targets)

    assert {theirs.recv(100) for _, theirs in pairs} == {b"frame" * 4}


def test_without_rings_everything_goes_its_other_way(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Ring:
        raise NoRing

    monkeypatch.setattr("realtime.fanout.sending.Ring", refuse)
    sender, targets = Sender(), [ours for ours, _ in pairs] * 2

    assert sender.send_all(targets, b"frame") == [5] * len(targets)
    assert {theirs.recv(100) for _, theirs in pairs} == {b"frame" * 2}
