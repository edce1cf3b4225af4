"""The actor runtime: one key, one bounded mailbox, one message at a time.

An actor costs no task while nothing is waiting for it: what it can do at once is done by whoever tells it. It
is started by its first message, forgotten when it has been idle, replaced when it breaks, and drained in
order on shutdown. Actors are local to a node; they make races rare, the database makes them impossible.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, Generic, TypeVar, cast

import structlog

from common import metrics
from common.errors import Internal, Overloaded, Unavailable, as_app_error
from realtime.deadlines import Deadline

log = structlog.get_logger(__name__)

R = TypeVar("R")

ROUNDS = 2
"""Rounds of the sweeper in the time after which an idle actor is forgotten."""


class Ask(Generic[R]):
    """A message that is answered with an `R`."""

    __slots__ = ()


class Tell:
    """A message that is not answered."""

    __slots__ = ()


class Actor:
    """Live state of one key. It may lose all it knows; what must be true is in the database."""

    keeps_time = False
    """Whether it sees to it itself that no message takes too long."""
    _cell: "_Cell | None" = None

    def receive(self, message: Ask[Any] | Tell) -> Any:
        """Handle one message. As a coroutine it may wait, and the next message waits for it.

        A plain function runs at once when nothing is in front of it, and may return a coroutine that does the
        rest. Answering with a future lets the next message start before the answer is there.
        """
        raise TypeError(message)

    async def stopped(self) -> None:
        """Called once, after the last message."""

    def later(self, seconds: float, message: Tell) -> asyncio.TimerHandle:
        """Tell oneself something after a while, unless the actor is gone by then."""
        cell = self._cell
        return asyncio.get_running_loop().call_later(seconds, _tell_if_there, cell, self, message)

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost by forgetting this actor now."""
        return True


def _tell_if_there(cell: "_Cell | None", actor: Actor, message: Tell) -> None:
    if cell is not None and cell.actor is actor:
        cell.actors.take(cell, (message, None))


_Reply = asyncio.Future[Any] | None
_Letter = tuple[Ask[Any] | Tell, _Reply]
_Work = Coroutine[Any, Any, None]


@dataclass(slots=True)
class _Cell:
    """An actor's place in the runtime: its mailbox, and who works it off when something takes a while."""

    kind: str
    key: str
    actors: "Actors"
    actor: Actor | None = None
    mailbox: deque[_Letter] = field(default_factory=deque[_Letter])
    worker: asyncio.Task[None] | None = None
    is_busy: bool = False
    """Whether a message is in hand."""
    rounds: int = 0
    """How often the sweeper has come by since the last message."""


class Actors:
    """All actors of this node, by kind and key."""

    def __init__(self, *, mailbox: int = 128, deadline: float = 8.0, idle: float = 60.0) -> None:
        self._mailbox, self._deadline, self._idle = mailbox, deadline, idle
        self._time = Deadline(deadline)
        self._factories: dict[str, Callable[[str], Actor]] = {}
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    def register(self, kind: str, factory: Callable[[str], Actor]) -> None:
        """Say how an actor of `kind` is made from its key."""
        self._factories[kind] = factory

    def ask(self, kind: str, key: str, message: Ask[R]) -> Awaitable[R]:
        """Hand `message` over now, and return its answer to await; raises `Overloaded` when too many wait."""
        reply: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._put(kind, key, (message, cast("asyncio.Future[Any]", reply)))
        return self._within_deadline(reply)

    def tell(self, kind: str, key: str, message: Tell) -> None:
        """Hand `message` over now; raises `Overloaded` when too many wait."""
        self._put(kind, key, (message, None))

    def __len__(self) -> int:
        return len(self._cells)

    def is_running(self, kind: str, key: str) -> bool:
        return (kind, key) in self._cells

    def is_busy(self, kind: str, key: str) -> bool:
        """Whether an actor has messages waiting or in hand."""
        cell = self._cells.get((kind, key))
        return cell is not None and cell.is_busy

    async def _within_deadline(self, reply: asyncio.Future[R]) -> R:
        if reply.done():
            return reply.result()
        with self._time.limit():
            return await reply

    def _put(self, kind: str, key: str, letter: _Letter) -> None:
        if self._closed:
            raise Unavailable
        cell = self._cells.get((kind, key)) or self._new_cell(kind, key)
        if cell.is_busy:
            waiting = len(cell.mailbox) + 1
            if waiting > self._mailbox:
                metrics.mailbox_overflows.labels(kind).inc()
                raise Overloaded
            metrics.mailbox_depth.labels(kind).observe(waiting)
        self.take(cell, letter)

    def _new_cell(self, kind: str, key: str) -> _Cell:
        cell = self._cells[kind, key] = _Cell(kind, key, self)
        metrics.actors.labels(kind).inc()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._forget_idle())
        return cell

    def take(self, cell: _Cell, letter: _Letter) -> None:
        """Handle a message; behind those in front of it, if there are any."""
        if cell.is_busy:
            cell.mailbox.append(letter)
            return
        cell.is_busy = True
        work = self._begin(cell, letter)
        if work is None and not cell.mailbox:
            cell.is_busy = False
        else:
            cell.worker = asyncio.get_running_loop().create_task(self._work_off(cell, work))

    async def _work_off(self, cell: _Cell, work: _Work | None) -> None:
        """Finish what has begun, then handle what waits in the mailbox, one message after the other."""
        try:
            if work is not None:
                await work
            while cell.mailbox:
                if (work := self._begin(cell, cell.mailbox.popleft())) is not None:
                    await work
        finally:
            cell.worker, cell.is_busy = None, False

    def _begin(self, cell: _Cell, letter: _Letter) -> _Work | None:
        """Let the actor have a message; what is left to be done, if that takes a while."""
        cell.rounds = 0
        try:
            actor = cell.actor or self._new_actor(cell)
            answer = actor.receive(letter[0])
        except Exception as error:
            return self._refuse(cell, letter, error)
        if type(answer) is CoroutineType:
            return self._finish(cell, letter, cast("_Work", answer), keeps_time=actor.keeps_time)
        _answer(letter[1], answer)
        return None

    async def _finish(self, cell: _Cell, letter: _Letter, work: Awaitable[Any], *, keeps_time: bool) -> None:
        try:
            if keeps_time:
                answer = await work
            else:
                with self._time.limit():
                    answer = await work
        except Exception as error:
            if (left := self._refuse(cell, letter, error)) is not None:
                await left
        else:
            _answer(letter[1], answer)

    def _new_actor(self, cell: _Cell) -> Actor:
        actor = cell.actor = self._factories[cell.kind](cell.key)
        actor._cell = cell  # pyright: ignore[reportPrivateUsage]  (the runtime binds its actors)
        return actor

    def _refuse(self, cell: _Cell, letter: _Letter, error: Exception) -> _Work | None:
        """Answer with `error`. An actor with a bug is replaced before that."""
        refusal = as_app_error(error)
        if refusal.code != Internal.code:
            _fail(letter[1], refusal, error)
            return None
        log.error("actor_broke", kind=cell.kind, message=type(letter[0]).__name__, exc_info=error)
        metrics.actor_failures.labels(cell.kind).inc()
        return self._replace(cell, letter[1], refusal, error)

    async def _replace(self, cell: _Cell, reply: _Reply, refusal: Exception, error: Exception) -> None:
        actor, cell.actor = cell.actor, None
        await self._stop_actor(cell.kind, actor)
        _fail(reply, refusal, error)

    async def forget(self, kind: str, key: str) -> None:
        """Stop an actor after what is already in its mailbox."""
        cell = self._cells.get((kind, key))
        if cell is not None:
            if cell.worker is not None:
                await asyncio.wait([cell.worker], timeout=self._deadline)
            await self._drop(cell)

    async def _drop(self, cell: _Cell) -> None:
        if self._cells.get((cell.kind, cell.key)) is not cell:
            return
        del self._cells[cell.kind, cell.key]
        metrics.actors.labels(cell.kind).dec()
        actor, cell.actor = cell.actor, None
        await self._stop_actor(cell.kind, actor)

    async def _stop_actor(self, kind: str, actor: Actor | None) -> None:
        if actor is None:
            return
        try:
            async with asyncio.timeout(self._deadline):
                await actor.stopped()
        except Exception:
            log.exception("actor_stop_failed", kind=kind)

    async def _forget_idle(self) -> None:
        while True:
            await asyncio.sleep(self._idle / ROUNDS)
            for cell in list(self._cells.values()):
                cell.rounds += 1
                rests = not cell.is_busy and cell.rounds > ROUNDS
                if rests and (cell.actor is None or cell.actor.is_idle):
                    await self._drop(cell)

    async def stop(self, seconds: float) -> None:
        """Take no more, finish what waits within `seconds`, then stop every actor."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        workers = [cell.worker for cell in self._cells.values() if cell.worker is not None]
        if workers:
            await asyncio.wait(workers, timeout=seconds)
        for cell in list(self._cells.values()):
            if cell.worker is not None:
                cell.worker.cancel()
            await self._drop(cell)


def _fail(reply: _Reply, error: BaseException, cause: BaseException | None = None) -> None:
    if reply is not None and not reply.done():
        if error is not cause:
            error.__cause__ = cause
        reply.set_exception(error)


def _answer(reply: _Reply, answer: Any) -> None:
    if reply is None or reply.done():
        return
    if not isinstance(answer, asyncio.Future):
        reply.set_result(answer)
        return

    def copy(done: asyncio.Future[Any]) -> None:
        if reply.done():
            return
        if done.cancelled():
            reply.set_exception(Unavailable())
        elif (error := done.exception()) is not None:
            reply.set_exception(error)
        else:
            reply.set_result(done.result())

    cast("asyncio.Future[Any]", answer).add_done_callback(copy)
