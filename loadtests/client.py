"""A conforming client: it does what the documentation asks of clients, on a network that lets it down.

One client id per message, kept for every retry; no ack in time means unknown, so the same message is tried
again with jittered back-off through the socket or through REST; live entries count only at last + 1; `sync`
after every connect and on every gap; `server_draining` is obeyed. Some acks are ignored on purpose.
"""

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtests.answers import Refused, Unanswered
from loadtests.history import Attempt, Clock, Person, Reading, Send
from loadtests.links import Transport
from loadtests.state import ClientState, Json
from loadtests.wire import Wire

Troubles = (Unanswered, OSError, TimeoutError, aiohttp.ClientError)

AVOID_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
SETTLED = 0.05


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client connects, how patient it is, and how careless with what it is told."""

    transport: Transport = "websocket"
    answer_within: float = 5.0
    ignored_acks: float = 0.3
    tries: int = 40


class Numbers:
    """What a client counted on its way."""

    def __init__(self) -> None:
        self.connects = self.syncs = self.drains = self.ignored = self.unanswered = self.retryable = 0
        self.gaps = 0
        """Noticed on a connection that was in step: after a reconnect the first words are early."""
        self.latencies: list[float] = []
        self.connected_at: list[float] = []


@dataclass(frozen=True, slots=True)
class Account:
    """Who a client is, and where its dice start."""

    id: str
    token: str
    seed: str


@dataclass(frozen=True, slots=True)
class Target:
    """A conversation, and the other person when it is a direct one."""

    id: str
    other: str | None


class Client:
    """One device of one person. `start`, act, `stop`; `person` is its history."""

    def __init__(
        self,
        account: Account,
        urls: Sequence[str],
        http: aiohttp.ClientSession,
        clock: Clock,
        manners: Manners,
    ) -> None:
        self.account, self._urls, self._http, self._clock, self._manners = account, urls, http, clock, manners
        self.state, self.person, self.numbers = ClientState(), Person(account.id), Numbers()
        self.random = random.Random(account.seed)
        self.wire: Wire | None = None
        self.may_sync = True
        self.synced = asyncio.Event()
        self._wanted = asyncio.Event()
        self._avoid: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def transport(self) -> Transport:
        return self._manners.transport

    # -- being there

    def start(self) -> None:
        """Connect, and come back whenever the connection ends."""
        self._spawn(self._stay_connected())
        self._spawn(self._keep_synced())

    async def stop(self) -> None:
        while self._tasks:  # a cancellation that meets an answer gets lost
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.5)
        if self.wire is not None:
            await self.wire.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            try:
                url, token, transport = self._some_url(), self.account.token, self._manners.transport
                wire = await Wire.open(self._http, url, token, self._hear, transport)
            except (*Troubles, Refused):
                failures += 1
                await self._pause(failures)
                continue
            failures = 0
            self.wire = wire
            self.numbers.connects += 1
            self.numbers.connected_at.append(asyncio.get_running_loop().time())
            self.want_sync()
            await wire.closed.wait()
            self.wire = None
            self.synced.clear()
            await self._pause(0)

    def _some_url(self) -> str:
        """Any node, but rather not one that has just asked us to leave."""
        now = asyncio.get_running_loop().time()
        return self.random.choice(
            [url for url in self._urls if self._avoid.get(url, 0) < now] or list(self._urls)
        )

    async def _pause(self, failures: int) -> None:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures)
        await asyncio.sleep(self.random.uniform(0, longest))

    # -- hearing

    def _hear(self, event: str, data: Json) -> None:
        if event == "server_draining":
            self.numbers.drains += 1
            self._spawn(self._move(data["reconnect_after_ms"] / 1000))
            return
        jumps = self.state.jumps
        if not self.state.hear(event, data):
            self.numbers.gaps += self.synced.is_set() and self.state.jumps > jumps
            self.want_sync()

    async def _move(self, seconds: float) -> None:
        """Leave a node that is about to stop, at the moment it gave us."""
        wire = self.wire
        await asyncio.sleep(seconds)
        if wire is not None and wire is self.wire:
            self._avoid[wire.url] = asyncio.get_running_loop().time() + AVOID_SECONDS
            await wire.close()

    def cut(self) -> None:
        """Lose the connection, as phones do."""
        if self.wire is not None:
            self.wire.abort()

    # -- catching up

    def want_sync(self) -> None:
        self.synced.clear()
        self._wanted.set()

    async def _keep_synced(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            if self.wire is None or not self.may_sync:
                await asyncio.sleep(SETTLED)
                continue
            self._wanted.clear()
            try:
                more = await self._sync(self.wire)
            except (*Troubles, Refused):
                failures += 1
                more = True
                await self._pause(failures)
            else:
                failures = 0
            if more:
                self._wanted.set()
            elif not self._wanted.is_set():
                self.synced.set()

    async def _sync(self, wire: Wire) -> bool:
        self.numbers.syncs += 1
        return self.state.apply(await wire.call("sync", self.state.positions(), self._manners.answer_within))

    # -- acting

    async def send(self, target: Target, text: str) -> Send:
        """Send one message until it is acknowledged and the acknowledgement is believed."""
        send = Send(
            self.account.id, target.id, str(uuid.UUID(int=self.random.getrandbits(128), version=4)), text
        )
        self.person.sends.append(send)
        failures = 0
        for _ in range(self._manners.tries):
            try:
                await self._try_to_send(send, target)
            except Refused as refusal:
                if not refusal.retryable:
                    send.refused = str(refusal)
                    break
                self.numbers.retryable += 1
                failures += 1
                await asyncio.sleep(refusal.retry_after)
            except Troubles:
                self.numbers.unanswered += 1
                failures += 1
            else:
                if self.random.random() >= self._manners.ignored_acks:
                    break
                self.numbers.ignored += 1
            await self._pause(failures)
        return send

    async def _try_to_send(self, send: Send, target: Target) -> None:
        body: Json = {"text": send.text, "clientId": send.client_id}
        if target.other is not None and self.random.random() < 0.5:
            body["to"] = target.other
        else:
            body["conversationId"] = target.id
        wire = self.wire if self.random.random() < 0.5 else None
        attempt = Attempt(wire.id if wire else "rest", self._clock.tick())
        send.attempts.append(attempt)
        started = asyncio.get_running_loop().time()
        if wire is not None:
            message = await wire.call("send_message", body, self._manners.answer_within)
        else:
            message = await self.ask("POST", "/api/messages", body)
        self.numbers.latencies.append(asyncio.get_running_loop().time() - started)
        attempt.seq, attempt.id, attempt.conversation = (
            message["seq"],
            message["id"],
            message["conversationId"],
        )
        attempt.answered = self._clock.tick()

    async def mark_read(self, target: Target) -> None:
        """Mark a conversation read up to one of its newest messages, until that is acknowledged."""
        track = self.state.streams.get(target.id)
        if track is None or not track.entries:
            return
        entry = self.random.choice(track.entries[-3:])
        reading = self.person.readings.setdefault(target.id, Reading())
        reading.tried = max(reading.tried, entry.seq)
        for number in range(self._manners.tries):
            try:
                await self._try_to_mark(target, entry.id, entry.seq)
            except Refused as refusal:
                if not refusal.retryable:
                    reading.refused = f"{entry.seq}: {refusal}"
                    return
            except Troubles:
                self.numbers.unanswered += 1
            else:
                reading.sure = max(reading.sure, entry.seq)
                if self.random.random() >= self._manners.ignored_acks:
                    return
            await self._pause(number)

    async def _try_to_mark(self, target: Target, message_id: str, seq: int) -> None:
        wire, way = self.wire, self.random.randrange(3)
        if wire is None or way == 0:
            await self.ask("POST", f"/api/messages/{message_id}/read", {})
        elif way == 1:
            await wire.call("mark_read", {"messageId": message_id}, self._manners.answer_within)
        else:
            body = {"conversationId": target.id, "seq": seq}
            await wire.call("mark_read", body, self._manners.answer_within)

    # -- REST

    async def ask(self, method: str, path: str, body: Json | None = None, url: str | None = None) -> Any:
        """The `data` of a REST answer, from a random node unless one is named; raises as `Wire.call` does."""
        timeout = aiohttp.ClientTimeout(total=self._manners.answer_within)
        headers = {"Authorization": f"Bearer {self.account.token}"}
        address = (url or self._some_url()) + path
        async with self._http.request(method, address, json=body, headers=headers, timeout=timeout) as reply:
            answer = await reply.json(content_type=None)
        if reply.status >= 400:
            raise Refused(answer)
        return answer["data"]

    def recorded(self) -> Person:
        """This client's part of the history, as it stands."""
        self.person.streams = {key: list(track.entries) for key, track in self.state.streams.items()}
        self.person.log = list(self.state.log.entries)
        return self.person
