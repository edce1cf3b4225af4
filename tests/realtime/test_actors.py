"""The actor runtime: order, bounds, replacement, idleness, shutdown."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from common.errors import Internal, NotFound, Overloaded, Unavailable
from realtime.actors import Actor, Actors, Ask, Tell


@dataclass
class Add(Ask[int]):
    amount: int


@dataclass
class Note(Tell):
    text: str


@dataclass
class Break(Ask[None]):
    refusal: bool = False


@dataclass
class Wait(Ask[str]):
    gate: asyncio.Event


@dataclass
class Later(Ask[int]):
    answer: "asyncio.Future[int]"


class Sum(Actor):
    """Adds up, and remembers what it was told."""

    stopped_keys: list[str]

    def __init__(self, key: str, notes: list[str]) -> None:
        self.key, self.total, self.notes, self.busy = key, 0, notes, False

    async def receive(self, message: Ask[Any] | Tell) -> Any:
        assert not self.busy, "two messages at once"
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False
        match message:
            case Add(amount=amount):
                self.total += amount
                return self.total
            case Note(text=text):
                self.notes.append(text)
            case Break(refusal=True):
                raise NotFound
            case Break():
                raise RuntimeError("the secret inside")
            case Wait(gate=gate):
                await gate.wait()
                return "done"
            case Later(answer=answer):
                return answer
            case _:
                raise TypeError(message)
        return None

    async def stopped(self) -> None:
        self.notes.append(f"stopped {self.key}")


@pytest.fixture
def notes() -> list[str]:
    return []


def actors_of(notes: list[str], **options: Any) -> Actors:
    actors = Actors(**options)
    actors.register("sum", lambda key: Sum(key, notes))
    return actors


async def test_messages_of_one_key_are_handled_one_at_a_time_in_order(notes: list[str]) -> None:
    actors = actors_of(notes)

    totals = await asyncio.gather(*(actors.ask("sum", "a", Add(1)) for _ in range(100)))

    assert totals == list(range(1, 101))


async def test_keys_do_not_wait_for_each_other(notes: list[str]) -> None:
    actors, gate = actors_of(notes), asyncio.Event()
    waiting = asyncio.ensure_future(actors.ask("sum", "slow", Wait(gate)))

    assert await actors.ask("sum", "quick", Add(1)) == 1
    assert not waiting.done()

    gate.set()
    assert await waiting == "done"


async def test_a_full_mailbox_refuses_at_once(notes: list[str]) -> None:
    actors, gate = actors_of(notes, mailbox=2), asyncio.Event()
    first = asyncio.ensure_future(actors.ask("sum", "a", Wait(gate)))
    await asyncio.sleep(0)
    queued = [asyncio.ensure_future(actors.ask("sum", "a", Add(1))) for _ in range(2)]

    with pytest.raises(Overloaded):
        actors.ask("sum", "a", Add(1))

    gate.set()
    assert await asyncio.gather(first, *queued) == ["done", 1, 2]


async def test_a_broken_actor_is_replaced_and_its_queue_goes_on(notes: list[str]) -> None:
    actors = actors_of(notes)
    await actors.ask("sum", "a", Add(5))

    broken, after = actors.ask("sum", "a", Break()), actors.ask("sum", "a", Add(1))

    with pytest.raises(Internal) as error:
        await broken
    assert "secret" not in str(error.value)
    assert await after == 1


async def test_a_refusal_does_not_break_the_actor(notes: list[str]) -> None:
    actors = actors_of(notes)
    await actors.ask("sum", "a", Add(5))

    with pytest.raises(NotFound):
        await actors.ask("sum", "a", Break(refusal=True))

    assert await actors.ask("sum", "a", Add(1)) == 6


async def test_an_answer_that_comes_later_does_not_hold_up_the_next_message(notes: list[str]) -> None:
    actors = actors_of(notes)
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    later = asyncio.ensure_future(actors.ask("sum", "a", Later(answer)))

    assert await actors.ask("sum", "a", Add(1)) == 1
    assert not later.done()

    answer.set_result(7)
    assert await later == 7


async def test_an_ask_has_a_deadline_and_the_actor_lives_on(notes: list[str]) -> None:
    actors = actors_of(notes, deadline=0.05)

    with pytest.raises(TimeoutError):
        await actors.ask("sum", "a", Wait(asyncio.Event()))

    assert await actors.ask("sum", "a", Add(1)) == 1


async def test_an_idle_actor_is_forgotten(notes: list[str]) -> None:
    actors = actors_of(notes, idle=0.05)
    await actors.ask("sum", "a", Add(1))

    async with asyncio.timeout(2):
        while actors.is_running("sum", "a"):
            await asyncio.sleep(0.01)

    assert notes == ["stopped a"]
    assert await actors.ask("sum", "a", Add(1)) == 1


async def test_stopping_finishes_what_waits_and_takes_no_more(notes: list[str]) -> None:
    actors = actors_of(notes)
    for n in range(10):
        actors.tell("sum", "a", Note(str(n)))

    await actors.stop(1.0)

    assert notes == [*map(str, range(10)), "stopped a"]
    with pytest.raises(Unavailable):
        actors.tell("sum", "a", Note("late"))


class Prompt(Actor):
    """Does what it can at once, and the rest as a coroutine."""

    def __init__(self, actors: Actors, notes: list[str]) -> None:
        self.actors, self.notes, self.total = actors, notes, 0

    def receive(self, message: Ask[Any] | Tell) -> Any:
        match message:
            case Add(amount=amount):
                self.total += amount
                return self.total
            case Note(text="twice"):
                self.actors.tell("prompt", "a", Note("again"))
                self.notes.append("twice")
            case Note(text=text):
                self.notes.append(text)
            case Break():
                raise RuntimeError("the secret inside")
            case Wait(gate=gate):
                return self.wait(gate)
            case _:
                raise TypeError(message)
        return None

    async def wait(self, gate: asyncio.Event) -> str:
        self.notes.append("waits")
        await gate.wait()
        self.notes.append("waited")
        return "done"

    async def stopped(self) -> None:
        await asyncio.sleep(0)
        self.notes.append("stopped")


def prompt_actors(notes: list[str], **options: Any) -> Actors:
    actors = Actors(**options)
    actors.register("prompt", lambda _: Prompt(actors, notes))
    return actors


async def test_what_needs_no_waiting_is_done_when_it_is_told(notes: list[str]) -> None:
    actors = prompt_actors(notes)

    actors.tell("prompt", "a", Note("one"))
    actors.tell("prompt", "a", Note("two"))

    assert notes == ["one", "two"]
    assert not actors.is_busy("prompt", "a")
    assert await actors.ask("prompt", "a", Add(2)) == 2


async def test_what_an_actor_tells_itself_comes_after_what_it_does(notes: list[str]) -> None:
    actors = prompt_actors(notes)

    actors.tell("prompt", "a", Note("twice"))
    actors.tell("prompt", "a", Note("last"))
    assert await actors.ask("prompt", "a", Add(1)) == 1

    assert notes == ["twice", "again", "last"]


async def test_what_can_be_done_at_once_still_waits_for_what_is_in_front(notes: list[str]) -> None:
    actors, gate = prompt_actors(notes), asyncio.Event()
    waiting = asyncio.ensure_future(actors.ask("prompt", "a", Wait(gate)))
    await asyncio.sleep(0)
    actors.tell("prompt", "a", Note("behind"))
    await asyncio.sleep(0)
    assert notes == ["waits"]
    assert actors.is_busy("prompt", "a")

    gate.set()

    assert await waiting == "done"
    assert await actors.ask("prompt", "a", Add(1)) == 1
    assert notes == ["waits", "waited", "behind"]


async def test_an_actor_that_breaks_at_once_is_stopped_before_the_next_message(notes: list[str]) -> None:
    actors = prompt_actors(notes)
    await actors.ask("prompt", "a", Add(5))

    broken, after = actors.ask("prompt", "a", Break()), actors.ask("prompt", "a", Add(1))
    actors.tell("prompt", "a", Note("after"))

    with pytest.raises(Internal) as error:
        await broken
    assert "secret" not in str(error.value)
    assert await after == 1
    assert notes == ["stopped", "after"]


async def test_a_mailbox_is_bounded_behind_what_has_begun(notes: list[str]) -> None:
    actors, gate = prompt_actors(notes, mailbox=2), asyncio.Event()
    waiting = asyncio.ensure_future(actors.ask("prompt", "a", Wait(gate)))
    await asyncio.sleep(0)
    actors.tell("prompt", "a", Note("one"))
    actors.tell("prompt", "a", Note("two"))

    with pytest.raises(Overloaded):
        actors.tell("prompt", "a", Note("three"))

    gate.set()
    assert await waiting == "done"
    assert await actors.ask("prompt", "a", Add(1)) == 1
    assert notes == ["waits", "waited", "one", "two"]
