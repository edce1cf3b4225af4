"""Admission: newcomers are taken in at the pace at which this node can serve them beside those who are there.

A newcomer is a socket between its handshake and its session. Who comes when too many are on their way is
turned away at the door, before anything costly, and told when to try again: each a moment of its own, as far
away as the crowd is long. Who is inside waits for a turn. How many have their turn at once follows the event
loop: whoever holds it up, the next newcomers come more slowly, and the commands of sessions keep their time.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable

from common import metrics
from common.addresses import network_of
from common.errors import AppError, Overloaded, RateLimited, Unavailable
from common.settings import Settings

PATIENCE = 2.0
"""Seconds that a newcomer should wait for a turn at most: who would wait longer is turned away."""
TURN_WITHIN = 5.0
"""Seconds after which a newcomer gets no turn any more, when it took longer than was foreseen."""
LEAST_ROOM = 16
TICK = 0.05
PROMPT, LATE = 0.05, 0.2
"""How late the event loop may be for more to have their turn at once, and how late before fewer have."""
WIDEST, NARROWEST = 256, 4
WIDER = 8
"""One more for each so many, as long as the loop is prompt: those who are looked up together cost less."""
FIRST_RATE = 200.0
"""Turns a second, until it is known better."""
LEARNING = 0.02
OVERBOOKED = 1.2
"""More are told to come back than could be served: some of them will not come."""
FADING = 0.95
"""Of those who have said nothing yet, so many a tick are still expected to."""
SOONEST, LATEST = 1.0, 30.0
"""Seconds after which somebody who was turned away may come back."""


class Admission:
    """The door and the waiting room of a node. Knows how many are in it, not who they are."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        limits = settings.limits
        self._clock = clock
        self._per_address, self._most = limits.unauthenticated_per_address, limits.newcomers
        self._from: Counter[str] = Counter()
        self._present = 0
        self._fresh = 0.0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._waiting = self._running = 0
        self._pace = Pace()
        self._next_slot = 0.0
        self._ticker: asyncio.TimerHandle | None = None

    # -- the door

    def enter(self, address: str) -> AppError | None:
        """Why a newcomer from `address` is turned away, if it is."""
        if self._from[network_of(address)] >= self._per_address:
            metrics.turned_away.labels("address").inc()
            return RateLimited(retry_after=random.uniform(SOONEST, 2 * SOONEST))  # noqa: S311  (jitter)
        if self._present >= self._most or self._expected() >= self._pace.room:
            metrics.turned_away.labels("full").inc()
            return Unavailable(retry_after=self._slot())
        return None

    def arrived(self, address: str) -> None:
        """A socket was opened; `left` must follow once it has become a session or is closed."""
        self._from[network_of(address)] += 1
        self._present += 1
        self._fresh += 1
        if self._ticker is None:
            self._tick_at(asyncio.get_running_loop().time() + TICK)

    def left(self, address: str) -> None:
        """A socket is no newcomer any more."""
        network = network_of(address)
        self._from[network] -= 1
        if self._from[network] <= 0:
            del self._from[network]
        self._present -= 1

    def _expected(self) -> float:
        """Who waits for a turn, or just came and will; who stays silent for long is not waited for."""
        silent = self._present - self._waiting - self._running
        return self._waiting + min(silent, self._fresh)

    def _slot(self) -> float:
        """Seconds until there may be room for one more of those who were turned away."""
        now = self._clock()
        self._next_slot = max(self._next_slot, now + SOONEST) + 1 / (self._pace.rate * OVERBOOKED)
        if self._next_slot - now > LATEST:
            self._next_slot = now + LATEST
            return random.uniform(LATEST / 2, LATEST)  # noqa: S311  (jitter)
        return self._next_slot - now

    # -- the waiting room

    def turn(self) -> "Turn":
        """`async with` it: wait until it is one's turn, first come first served; raises `Overloaded`."""
        return Turn(self)

    async def begin(self) -> None:
        """Wait for a turn, and have it; `done` must follow."""
        if self._running < self._pace.width and not self._waiting:
            self._running += 1
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(called)
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_WITHIN):
                await called
        except BaseException as error:
            if called.cancelled():
                self._waiting -= 1
            else:  # it was called in the moment in which it gave up
                self.done()
            if isinstance(error, TimeoutError):
                metrics.turned_away.labels("late").inc()
                raise Overloaded(retry_after=SOONEST) from None
            raise

    def done(self) -> None:
        """The turn is over: call the next one."""
        self._running -= 1
        self._pace.served += 1
        self._call()

    def _call(self) -> None:
        while self._queue and self._running < self._pace.width:
            called = self._queue.popleft()
            if not called.done():
                self._waiting -= 1
                self._running += 1
                called.set_result(None)

    # -- the pace

    def _tick_at(self, due: float) -> None:
        self._ticker = asyncio.get_running_loop().call_at(due, self._tick, due)

    def _tick(self, due: float) -> None:
        """Adapt to how late the loop is; only while anybody is here."""
        now = asyncio.get_running_loop().time()
        self._pace.learn(now, now - due, is_busy=self._waiting > 0)
        self._fresh *= FADING
        self._call()
        self._ticker = None
        if self._present > 0:
            self._tick_at(now + TICK)
        else:
            self._fresh = 0.0
            self._pace.rest()


class Turn:
    """One newcomer's turn."""

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def __aenter__(self) -> None:
        await self._admission.begin()

    async def __aexit__(self, *_: object) -> None:
        self._admission.done()


class Pace:
    """How many have their turn at once, and how many turns a second that makes."""

    def __init__(self) -> None:
        self.width = NARROWEST
        self.rate = FIRST_RATE
        self.served = 0
        self._since: float | None = None

    @property
    def room(self) -> float:
        """How many may wait."""
        return max(LEAST_ROOM, self.rate * PATIENCE)

    def learn(self, now: float, lag: float, *, is_busy: bool) -> None:
        """Take into account how late the loop is, and what was done since the last time if all were busy."""
        if lag > LATE:
            self.width = max(NARROWEST, self.width // 2)
        elif lag < PROMPT:
            self.width = min(WIDEST, self.width + max(1, self.width // WIDER))
        if is_busy and self._since is not None and now > self._since:
            self.rate += LEARNING * (self.served / (now - self._since) - self.rate)
        elif self.rate < FIRST_RATE:
            self.rate += LEARNING * (FIRST_RATE - self.rate)
        self.rate = max(1.0, self.rate)
        self._since, self.served = now if is_busy else None, 0

    def rest(self) -> None:
        """Nobody is here: the time until somebody comes tells nothing."""
        self._since = None
