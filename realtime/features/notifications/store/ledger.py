"""Changing what a person is told: in one order, with what asks meanwhile in one transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog

from common.errors import AppError, Overloaded, Unavailable, as_app_error
from common.ids import Id
from documents.notifications import Board, Change, Notification

T = TypeVar("T")
Work = Callable[[Any], Awaitable[Change | None]]
"""What changes a person's notifications, within a transaction; None when there is nothing to change."""

AT_ONCE = 32
MAX_WAITING = 2000
MAX_PENDING = 500
PATIENCE = 3
"""So often others may be faster."""

log = structlog.get_logger(__name__)


class Transactions(Protocol):
    async def transaction(self, work: Callable[[Any], Awaitable[T]]) -> T: ...


@dataclass(slots=True)
class _Asked:
    """A change somebody waits for."""

    work: Work
    done: "asyncio.Future[Change | None]"
    outcome: Change | AppError | None = None


class Ledger:
    """One line for each person: changes are stored in order, then told in order, then answered.

    Two nodes may change the same person's notifications at once: the board decides whose transaction is run
    again. `tell` says changes in the order of their versions, and may say again what was said before.
    """

    def __init__(
        self, database: Transactions, tell: Callable[[Id, Sequence[Change]], Awaitable[None]]
    ) -> None:
        self._database, self._tell = database, tell
        self._lines: dict[Id, deque[_Asked]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def change(self, user_id: Id, work: Work) -> Change | None:
        """Store a change, with its version and count, and tell it; raises `Overloaded` when too many wait."""
        asked = _Asked(work, asyncio.get_running_loop().create_future())
        line = self._lines.get(user_id)
        if line is None:
            self._lines[user_id] = deque([asked])
            worker = asyncio.get_running_loop().create_task(self._work(user_id))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        elif len(line) >= MAX_WAITING:
            raise Overloaded
        else:
            line.append(asked)
        return await asked.done

    async def settle(self, user_id: Id) -> None:
        """Tell what has been left untold."""
        await self.change(user_id, _nothing)

    async def stop(self, seconds: float) -> None:
        """Finish what was asked for."""
        if self._workers:
            await asyncio.wait(tuple(self._workers), timeout=seconds)
        for worker in tuple(self._workers):
            worker.cancel()

    async def _work(self, user_id: Id) -> None:
        line = self._lines[user_id]
        try:
            while line:
                await self._change_or_fail(user_id, [line.popleft() for _ in range(min(len(line), AT_ONCE))])
        finally:
            for asked in self._lines.pop(user_id):
                _fail(asked, Unavailable())

    async def _change_or_fail(self, user_id: Id, batch: Sequence[_Asked]) -> None:
        """One that cannot be done must not take the others with it."""
        try:
            await self._change(user_id, batch)
        except Exception as error:
            if len(batch) > 1 and not as_app_error(error).retryable:
                for asked in batch:
                    await self._change_or_fail(user_id, [asked])
            else:
                _fail_all(batch, error)
        except asyncio.CancelledError:
            _fail_all(batch, Unavailable())
            raise

    async def _change(self, user_id: Id, batch: Sequence[_Asked]) -> None:
        board = await self._database.transaction(_Attempts(user_id, batch))
        if board is None:
            board = await Board.of(user_id)
        if board.pending:
            await self._say(user_id, board.pending)
        for asked in batch:
            if isinstance(asked.outcome, AppError):
                _fail(asked, asked.outcome)
            elif not asked.done.done():
                asked.done.set_result(asked.outcome)

    async def _say(self, user_id: Id, changes: Sequence[Change]) -> None:
        """What cannot be told now stays on the board, for the next change or the next sweep."""
        try:
            await self._tell(user_id, changes)
            await Board.told(user_id, changes[-1].version)
        except Exception as error:
            log.warning("notifications_not_told", error=type(error).__name__, changes=len(changes))


class _Attempts:
    """A batch in its transaction, run again for as long as other nodes are faster.

    Its changes take a while: many quick ones elsewhere would be faster for ever. So it takes its turn first
    when that has happened a few times.
    """

    def __init__(self, user_id: Id, batch: Sequence[_Asked]) -> None:
        self._user_id, self._batch, self._lost = user_id, batch, 0

    async def __call__(self, session: Any) -> Board | None:
        if self._lost >= PATIENCE:
            await Board.take_turn(self._user_id, session)
        self._lost += 1
        return await _attempt(self._user_id, self._batch, session)


async def _attempt(user_id: Id, batch: Sequence[_Asked], session: Any) -> Board | None:
    """Run what was asked for; the board with all of it, or None when nothing has changed."""
    changes: list[Change] = []
    for asked in batch:
        try:
            asked.outcome = change = await asked.work(session)
        except AppError as refusal:
            asked.outcome = refusal
            continue
        if change is not None:
            change.unread = await Notification.unread_of(user_id, session)
            changes.append(change)
    if not changes:
        return None
    board = await Board.add(user_id, changes, session)
    if len(board.pending) > MAX_PENDING:
        raise Overloaded
    for step, change in enumerate(reversed(changes)):
        change.version = board.version - step
    return board


def _fail_all(batch: Sequence[_Asked], error: Exception) -> None:
    for asked in batch:
        _fail(asked, error)


def _fail(asked: _Asked, error: Exception) -> None:
    if not asked.done.done():
        asked.done.set_exception(error)
        asked.done.exception()


async def _nothing(_: Any) -> None:
    """Change nothing."""
