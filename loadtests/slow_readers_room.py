"""A room of raw sockets: one speaks, all others hear, and some of them stop reading."""

import asyncio
import time
from collections.abc import Sequence

from loadtests.lanes import Lane
from loadtests.population import People

AT_ONCE = 50
SMALL_BUFFER = 4096
STAMP = b'"text":"'
TICK = 0.001
SETTLE_SECONDS = 10.0


class Room:
    """Everybody's sockets: the first one speaks."""

    def __init__(self, url: str, people: People, *, watched: int, changing: int) -> None:
        self._url, self._tokens = url, [one.token for one in people.accounts]
        self._group, self._watched, self._changing = people.group, watched, changing
        self.lanes: list[Lane] = []
        self.late: list[float] = []
        self.said = self.acked = self.refused = 0

    async def connect(self) -> None:
        self.lanes = await self.join(range(len(self._tokens) - self._changing), deaf=False)

    async def others(self, *, deaf: bool) -> list[Lane]:
        """Those who read in some rounds and not in others."""
        return await self.join(range(len(self.lanes), len(self._tokens)), deaf=deaf)

    async def join(self, places: Sequence[int], *, deaf: bool) -> list[Lane]:
        """Connect these people; the deaf ones have small buffers and stop reading at once."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(place: int) -> Lane:
            heard = self._heard if 0 < place <= self._watched else None
            async with gate:
                lane = await Lane.open(self._url, self._tokens[place], self._acked, heard)
            if deaf:
                lane.shrink(SMALL_BUFFER)
                lane.pause()
            return lane

        return list(await asyncio.gather(*(one(place) for place in places)))

    async def speak(self, rate: float, size: int, seconds: float) -> None:
        """Messages at even distances, each with the moment at which it was due."""
        started, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) < started + seconds:
            while (due := started + sent / rate) <= now:
                self._say(due, size)
                sent += 1
            await asyncio.sleep(TICK)

    def _say(self, due: float, size: int) -> None:
        self.said += 1
        text = f"{due:.6f} ".ljust(size, ".")
        body = (
            f'["send_message",{{"conversationId":"{self._group}","text":"{text}","clientId":"m{self.said}"}}]'
        )
        self.lanes[0].say(body.encode())

    def _acked(self, _lane: Lane, _number: int, payload: bytes) -> None:
        self.acked += 1
        self.refused += b'[{"ok":true' not in payload[:40]

    def _heard(self, _lane: Lane, payload: bytes) -> None:
        if payload.startswith(b'42["new_message"'):
            start = payload.index(STAMP) + len(STAMP)
            due = float(payload[start : payload.index(b" ", start)])
            self.late.append(time.perf_counter() - due)

    async def settle(self, readers: Sequence[Lane]) -> int:
        """Wait until everybody has everything; how many messages did not arrive."""
        deadline = time.perf_counter() + SETTLE_SECONDS
        while (missing := self._missing(readers)) and time.perf_counter() < deadline:
            await asyncio.sleep(0.02)
        return missing

    def _missing(self, readers: Sequence[Lane]) -> int:
        return sum(self.said - lane.delivered for lane in readers) + self.said - self.acked

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()
