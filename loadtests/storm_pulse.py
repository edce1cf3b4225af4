"""The others: people in pairs who go on talking, at even distances, whatever happens around them.

An open loop: latency counts from the moment at which a message was due, so that a server which keeps
everybody waiting is not asked less often for it.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from loadtests.client import Account
from loadtests.lanes import Lane, TurnedAway

OK = b'[{"ok":true'
TICK = 0.002
AT_ONCE = 50
GREETING_AT_ONCE = 16
SETTLE_SECONDS = 20.0
TEXT = "still here"


@dataclass(frozen=True, slots=True)
class Beat:
    """One message: when it was due, and when its ack came."""

    due: float
    answered: float

    @property
    def latency(self) -> float:
        return self.answered - self.due


@dataclass
class Pulse:
    """Everybody's sockets, and what became of their messages."""

    url: str
    people: Sequence[Account]
    lanes: list[Lane] = field(default_factory=list[Lane])
    beats: list[Beat] = field(default_factory=list[Beat])
    refused: list[bytes] = field(default_factory=list[bytes])
    waiting: dict[tuple[int, int], float] = field(default_factory=dict[tuple[int, int], float])
    _places: dict[Lane, int] = field(default_factory=dict[Lane, int])
    _acks: Counter[int] = field(default_factory=Counter[int])

    async def connect(self) -> None:
        """Everybody, some at once."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(person: Account) -> Lane:
            async with gate:
                return await self._open(person)

        self.lanes = list(await asyncio.gather(*(one(person) for person in self.people)))
        self._places = {lane: place for place, lane in enumerate(self.lanes)}

    async def _open(self, person: Account) -> Lane:
        while True:
            try:
                return await Lane.open(self.url, person.token, self._acked)
            except TurnedAway as refusal:
                await asyncio.sleep((refusal.retry_after or 1.0) * random.random())

    async def greet(self) -> None:
        """Everybody says a first word, a few at a time: it opens the conversations."""
        for start in range(0, len(self.lanes), GREETING_AT_ONCE):
            for place in range(start, min(start + GREETING_AT_ONCE, len(self.lanes))):
                self._send(place, time.perf_counter())
            await self.settle()

    async def beat(self, rate: float) -> None:
        """So many messages a second over all, one person after the other, until cancelled."""
        started, sent = time.perf_counter(), 0
        while True:
            while (due := started + sent / rate) <= time.perf_counter():
                self._send(sent % len(self.lanes), due)
                sent += 1
            await asyncio.sleep(TICK)

    def _send(self, place: int, due: float) -> None:
        lane, partner = self.lanes[place], self.people[place ^ 1].id
        self.waiting[place, lane.sent + 1] = due
        body = f'["send_message",{{"to":"{partner}","text":"{TEXT}","clientId":"{place}-{lane.sent}"}}]'
        lane.say(body.encode())

    def _acked(self, lane: Lane, number: int, payload: bytes) -> None:
        place = self._places[lane]
        self.beats.append(Beat(self.waiting.pop((place, number)), time.perf_counter()))
        if payload.startswith(OK, payload.index(b"[")):
            self._acks[place] += 1
        else:
            self.refused.append(payload)

    async def settle(self) -> None:
        """Let what is on its way be answered; what is not stays in `waiting`."""
        deadline = time.perf_counter() + SETTLE_SECONDS
        while self.waiting and time.perf_counter() < deadline:
            await asyncio.sleep(0.02)

    def latencies(self, since: float, until: float) -> list[float]:
        """Of the messages that were due between two moments."""
        return [beat.latency for beat in self.beats if since <= beat.due < until]

    @property
    def lost_sockets(self) -> int:
        return sum(lane.closed.is_set() for lane in self.lanes)

    async def recount(self, http: aiohttp.ClientSession) -> list[str]:
        """Whose conversation is shorter than what was acknowledged, or longer than what was sent."""
        gate, wrong = asyncio.Semaphore(AT_ONCE), list[str]()

        async def one(place: int) -> None:
            headers = {"Authorization": f"Bearer {self.people[place].token}"}
            async with gate, http.get(f"{self.url}/api/messages/conversations", headers=headers) as reply:
                rows = (await reply.json())["data"]
            sent = self.lanes[place].sent + self.lanes[place ^ 1].sent
            stored = sum(row["seq"] for row in rows if row["kind"] == "direct")
            acked = self._acks[place] + self._acks[place ^ 1]
            if not acked <= stored <= sent:
                wrong.append(f"{self.people[place].seed}: {acked} of {sent} acknowledged, {stored} stored")

        await asyncio.gather(*(one(place) for place in range(0, len(self.people), 2)))
        return wrong

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()
