"""The actor runtime: one key, one bounded mailbox, one message at a time.

An actor costs no task while nothing is waiting for it. It is started by its first message, forgotten when
it has been idle, replaced when it breaks, and drained in order on shutdown. Actors are local to a node; they
make races rare, the database makes them impossible.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import structlog

from common import metrics
from common.errors import Internal, Overloaded, Unavailable, as_app_error

log = structlog.get_logger(__name__)

R = TypeVar("R")


class Ask(Generic[R]):
    """A message that is answered with an `R`."""

    __slots__ = ()


class Tell:
    """A message that is not answered."""

    __slots__ = ()


class Actor:
    """Live state of one key. It may lose all it knows; what must be true is in the database."""

    _cell: "_Cell | None" = None

    async def receive(self, message: Ask[Any] | Tell) -> Any:
        """Handle one message. Returning a future lets the next message start before the answer is there."""
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
        cell.put(message, None)


_Waiting = tuple[Ask[Any] | Tell, asyncio.Future[Any] | None]


@dataclass(slots=True)
class _Cell:
    """An actor's place in the runtime: its mailbox and whether someone is working it off."""

    kind: str
    key: str
    actors: "Actors"
    actor: Actor | None = None
    mailbox: deque[_Waiting] = field(default_factory=deque[_Waiting])
    worker: asyncio.Task[None] | None = None
    used: float = 0.0

    def put(self, message: Ask[Any] | Tell, reply: asyncio.Future[Any] | None) -> None:
        self.mailbox.append((message, reply))
        if self.worker is None:
            self.worker = asyncio.get_running_loop().create_task(self.actors.work_off(self))


class Actors:
    """All actors of this node, by kind and key."""

    def __init__(self, *, mailbox: int = 128, deadline: float = 8.0, idle: float = 60.0) -> None:
        self._mailbox, self._deadline, self._idle = mailbox, deadline, idle
        self._factories: dict[str, Callable[[str], Actor]] = {}
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    def register(self, kind: str, factory: Callable[[str], Actor]) -> None:
        """Say how an actor of `kind` is made from its key."""
        self._factories[kind] = factory

    def ask(self, kind: str, key: str, message: Ask[R]) -> Awaitable[R]:
        """Queue `message` now and return its answer to await; raises `Overloaded` at once when it is full."""
        reply: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue(kind, key, message, cast("asyncio.Future[Any]", reply))
        return self._within_deadline(reply)

    def tell(self, kind: str, key: str, message: Tell) -> None:
        """Queue `message`; raises `Overloaded` at once when the mailbox is full."""
        self._queue(kind, key, message, None)

    def __len__(self) -> int:
        return len(self._cells)

    def is_running(self, kind: str, key: str) -> bool:
        return (kind, key) in self._cells

    def is_busy(self, kind: str, key: str) -> bool:
        """Whether an actor has messages waiting or in hand."""
        cell = self._cells.get((kind, key))
        return cell is not None and cell.worker is not None

    async def _within_deadline(self, reply: asyncio.Future[R]) -> R:
        async with asyncio.timeout(self._deadline):
            return await reply

    def _queue(
        self, kind: str, key: str, message: Ask[Any] | Tell, reply: asyncio.Future[Any] | None
    ) -> None:
        if self._closed:
            raise Unavailable
        cell = self._cells.get((kind, key))
        if cell is None:
            cell = self._cells[kind, key] = _Cell(kind, key, self)
            metrics.actors.labels(kind).inc()
            if self._sweeper is None:
                self._sweeper = asyncio.get_running_loop().create_task(self._forget_idle())
        if len(cell.mailbox) >= self._mailbox:
            metrics.mailbox_overflows.labels(kind).inc()
            raise Overloaded
        cell.put(message, reply)
        metrics.mailbox_depth.labels(kind).observe(len(cell.mailbox))

    async def work_off(self, cell: _Cell) -> None:
        """Handle what waits in a mailbox, one message after the other."""
        try:
            while cell.mailbox:
                await self._handle(cell, *cell.mailbox.popleft())
        finally:
            cell.used = asyncio.get_running_loop().time()
            cell.worker = None

    async def _handle(self, cell: _Cell, message: Ask[Any] | Tell, reply: asyncio.Future[Any] | None) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                answer = await self._actor_of(cell).receive(message)
        except Exception as error:
            refusal = as_app_error(error)
            if refusal.code == Internal.code:
                await self._replace(cell, message)
            _fail(reply, refusal, error)
        else:
            _answer(reply, answer)

    def _actor_of(self, cell: _Cell) -> Actor:
        if cell.actor is None:
            cell.actor = self._factories[cell.kind](cell.key)
            cell.actor._cell = cell  # pyright: ignore[reportPrivateUsage]  (the runtime binds its actors)
        return cell.actor

    async def _replace(self, cell: _Cell, message: Ask[Any] | Tell) -> None:
        """An actor with a bug is stopped; the next message starts a new one."""
        log.exception("actor_broke", kind=cell.kind, message=type(message).__name__)
        metrics.actor_failures.labels(cell.kind).inc()
        actor, cell.actor = cell.actor, None
        await self._stop_actor(cell.kind, actor)

    async def forget(self, kind: str, key: str) -> None:
        """Stop an actor after what is already in its mailbox."""
        cell = self._cells.get((kind, key))
        if cell is None:
            return
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
            await asyncio.sleep(self._idle / 2)
            limit = asyncio.get_running_loop().time() - self._idle
            for cell in list(self._cells.values()):
                rests = cell.worker is None and not cell.mailbox and cell.used < limit
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


def _fail(
    reply: asyncio.Future[Any] | None, error: BaseException, cause: BaseException | None = None
) -> None:
    if reply is not None and not reply.done():
        if error is not cause:
            error.__cause__ = cause
        reply.set_exception(error)


def _answer(reply: asyncio.Future[Any] | None, answer: Any) -> None:
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
