"""The order of what is written in one tick, and what is forgotten with those who leave."""

import asyncio
from collections.abc import Callable

from realtime.fanout import Delivery, LocalFanout, Packet
from realtime.fanout.sending import NOWHERE

ROOM = "event:one"


class Reader:
    """A connection that remembers what it was sent; `on_write` is called first."""

    def __init__(self, name: str) -> None:
        self.id, self.user_id = name, f"user of {name}"
        self.channels: set[str] = set()
        self.socket, self.direct = self, NOWHERE
        self.heard: list[str] = []
        self.on_write: Callable[[], None] | None = None

    def write(self, packet: Packet, *, ephemeral: bool = False) -> None:
        if self.on_write is not None:
            self.on_write()
        self.heard.append(packet.text)

    def finish(self, frame: bytes, written: int) -> None:
        raise AssertionError("nothing is sent directly here")

    def close(self, reason: str) -> None:
        raise AssertionError(reason)


async def end_of_tick() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_ack_overtakes_neither_a_broadcast_nor_an_earlier_ack() -> None:
    local, ann, bob = LocalFanout(), Reader("ann"), Reader("bob")
    local.join(ann, ROOM)

    local.deliver(Delivery((ROOM,), Packet("broadcast")))
    local.tell(ann, Packet("first ack"))
    local.join(bob, ROOM)  # which writes what waits for the room
    local.tell(ann, Packet("second ack"))
    await end_of_tick()

    assert ann.heard == ["broadcast", "first ack", "second ack"]
    assert bob.heard == []


async def test_who_joins_hears_nothing_of_before_and_who_leaves_everything_until_then() -> None:
    local, ann, bob = LocalFanout(), Reader("ann"), Reader("bob")
    local.join(ann, ROOM)

    local.deliver(Delivery((ROOM,), Packet("one")))
    local.join(bob, ROOM)
    local.deliver(Delivery((ROOM,), Packet("two")))
    local.leave(ann, ROOM)
    local.deliver(Delivery((ROOM,), Packet("three")))
    await end_of_tick()

    assert (ann.heard, bob.heard) == (["one", "two"], ["two", "three"])


async def test_who_left_meanwhile_is_not_remembered_as_somebody_who_wants_it_quiet() -> None:
    local, ann, bob = LocalFanout(), Reader("ann"), Reader("bob")
    local.join(ann, ROOM)
    local.join(bob, ROOM)
    local.leave_all(ann)

    local.hush(ann, ROOM)  # the look whether she may took until now

    local.join(ann, ROOM)
    local.deliver(Delivery((ROOM,), Packet("typing"), ephemeral=True))
    await end_of_tick()
    assert ann.heard == ["typing"]


async def test_who_goes_in_the_middle_of_an_invitation_is_not_joined_again() -> None:
    local, one, other = LocalFanout(), Reader("one"), Reader("other")
    local.join(one, "user:ann")
    local.join(other, "user:ann")
    local.join(other, ROOM)
    other.on_write = lambda: local.leave_all(other)

    local.deliver(Delivery((ROOM,), Packet("the last straw")))
    local.deliver(Delivery(("user:ann",), join=(ROOM, 0)))
    await end_of_tick()

    assert local.listeners(ROOM) == {one}
    assert not other.channels
