"""A conforming client for gevent: python-socketio's own client under Locust, and REST beside it."""

import contextlib
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import requests
import socketio
from socketio import exceptions

from loadtests.answers import Refused
from loadtests.history import Attempt, Clock, Entry, Person, Reading, Send
from loadtests.state import ClientState, Json, Track

Troubles = (exceptions.SocketIOError, requests.RequestException, OSError, TimeoutError)

ANSWER_WITHIN = 10
TRIES, MOST_PAGES = 12, 200
RETRIED, PLANTED = 0.2, 0.05
LONGEST_PAUSE = 2.0
CHEAP = {"skip_utf8_validation": True}
"""It would be done in Python, byte by byte."""


class Talker:
    """One person on one device: acts, listens, and keeps its history."""

    def __init__(self, url: str, clock: Clock, tell: Callable[..., None]) -> None:
        self._sio = socketio.Client(reconnection=False, handle_sigint=False, websocket_extra_options=CHEAP)
        self._url, self._clock, self._tell = url, clock, tell
        self._http = requests.Session()
        self._token, self._syncing = "", False
        self.bug = ""
        self.state, self.person = ClientState(), Person("")
        self.connects = self.syncs = self.deliveries = 0
        self.latencies: list[float] = []
        self._sio.on("*", self._hear)

    @property
    def id(self) -> str:
        return self.person.id

    # -- coming and going

    def sign_up(self, name: str) -> None:
        body = {
            "email": f"{name}@example.org",
            "password": f"{name}-has-a-secret",
            "name": name,
            "handle": name,
        }
        data = self.ask("POST", "/api/auth/signup", body)
        self._token = data["access_token"]
        self._http.headers["Authorization"] = f"Bearer {self._token}"
        self.person.id = data["user"]["id"]

    def connect(self) -> None:
        """Connect, again and again until it works, then sync."""
        for number in range(TRIES):
            try:
                with self._measured("WS", "connect"):
                    auth = {"token": self._token}
                    self._sio.connect(self._url, auth=auth, transports=["websocket"], wait_timeout=5)
                self.connects += 1
                self.sync()
                return
            except Troubles:
                self._pause(number)
        raise ConnectionError("cannot connect")

    def drop(self) -> None:
        """Mostly without a goodbye, and some time passes."""
        socket = self._sio.eio.ws
        if socket is not None and random.random() < 0.7:
            socket.shutdown()
            self._sio.eio.wait()
        else:
            self._sio.disconnect()
        gevent.sleep(random.uniform(0.1, 2.0))

    def _pause(self, failures: int) -> None:
        gevent.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.1 * 2**failures)))

    # -- hearing

    def _hear(self, event: str, data: Json | None = None) -> None:
        self.deliveries += event == "new_message"
        whole = self.state.hear(event, data or {})
        if event == "new_message" and data is not None and self.bug and random.random() < PLANTED:
            _plant(self.bug, self.state.streams[data["conversationId"]])
        if not whole and not self._syncing:
            gevent.spawn(self._sync_if_possible)

    def _sync_if_possible(self) -> None:
        with contextlib.suppress(*Troubles):  # whoever reconnects syncs
            self.sync()

    def sync(self) -> None:
        """Catch up over the socket."""
        self._catch_up(lambda positions: self._call("sync", positions))

    def sync_over_http(self) -> None:
        """Catch up over REST."""
        self._catch_up(lambda positions: self.ask("POST", "/api/sync", positions))

    def _catch_up(self, ask: Any) -> None:
        self._syncing = True
        try:
            for _ in range(MOST_PAGES):
                self.syncs += 1
                if not self.state.apply(ask(self.state.positions())):
                    return
        finally:
            self._syncing = False
        raise RuntimeError("sync does not come to an end")

    # -- acting

    def found_group(self, others: list[str]) -> str:
        return self.ask("POST", "/api/conversations", {"name": "a table", "memberIds": others})["id"]

    def say(self) -> None:
        """Send a message until it is acknowledged, sometimes again, through either door."""
        if not self.state.streams:
            return
        conversation, key = random.choice(list(self.state.streams)), str(uuid.uuid4())
        send = Send(self.id, conversation, key, f"{self.id} says {len(self.person.sends)}")
        self.person.sends.append(send)
        for number in range(TRIES):
            try:
                self._try_to_send(send)
                if random.random() >= RETRIED:
                    break
            except Refused as refusal:
                if not refusal.retryable:
                    send.refused = str(refusal)
                    break
            except Troubles:
                self._pause(number)
        if self.bug == "duplicate" and random.random() < PLANTED:
            body = {"conversationId": conversation, "text": send.text, "clientId": str(uuid.uuid4())}
            self.ask("POST", "/api/messages", body)

    def _try_to_send(self, send: Send) -> None:
        body = {"conversationId": send.conversation, "text": send.text, "clientId": send.client_id}
        is_socket = self._sio.connected and random.random() < 0.8
        attempt = Attempt(f"socket {self.id} {self.connects}" if is_socket else "rest", self._clock.tick())
        send.attempts.append(attempt)
        started = time.perf_counter()
        send_it = self._send_over_socket if is_socket else self._send_over_http
        message = send_it(body)
        self.latencies.append(time.perf_counter() - started)
        attempt.seq, attempt.id, attempt.conversation = (
            message["seq"],
            message["id"],
            message["conversationId"],
        )
        attempt.answered = self._clock.tick()

    def _send_over_socket(self, body: Json) -> Json:
        return self._call("send_message", body)

    def _send_over_http(self, body: Json) -> Json:
        return self.ask("POST", "/api/messages", body)

    def read(self) -> None:
        """Mark a conversation read up to its newest message here."""
        tracks = [(key, track) for key, track in self.state.streams.items() if track.entries]
        if not tracks:
            return
        conversation, track = random.choice(tracks)
        seq = track.last
        reading = self.person.readings.setdefault(conversation, Reading())
        reading.tried = max(reading.tried, seq)
        with contextlib.suppress(*Troubles):  # it is unknown then: between `sure` and `tried`
            if self.bug != "unread":
                self._mark(conversation, track.entries[-1])
            reading.sure = max(reading.sure, seq)

    def _mark(self, conversation: str, entry: Entry) -> None:
        if self._sio.connected and random.random() < 0.5:
            self._call("mark_read", {"conversationId": conversation, "seq": entry.seq})
        else:
            self.ask("POST", f"/api/messages/{entry.id}/read", {})

    # -- asking

    def _call(self, event: str, body: Json) -> Json:
        with self._measured("WS", event):
            answer: Any = self._sio.call(event, body, timeout=ANSWER_WITHIN)
            if not answer["ok"]:
                raise Refused(answer["error"])
        return answer["data"]

    def ask(self, method: str, path: str, body: Json | None = None) -> Any:
        """The `data` of a REST answer."""
        with self._measured(method, re.sub(r"[0-9a-f-]{36}", "{id}", path.partition("?")[0])):
            reply = self._http.request(method, self._url + path, json=body, timeout=ANSWER_WITHIN)
            answer = reply.json()
            if reply.status_code >= 400:
                raise Refused(answer)
        return answer["data"]

    @contextlib.contextmanager
    def _measured(self, kind: str, name: str) -> Iterator[None]:
        """Tell Locust how long it took, and what went wrong."""
        started, error = time.perf_counter(), None
        try:
            yield
        except Exception as problem:
            error = problem
            raise
        finally:
            took = (time.perf_counter() - started) * 1000
            self._tell(request_type=kind, name=name, response_time=took, response_length=0, exception=error)

    def recorded(self) -> Person:
        """This client's part of the history, as it stands."""
        self.person.streams = {key: list(track.entries) for key, track in self.state.streams.items()}
        self.person.log = list(self.state.log.entries)
        return self.person


def _plant(bug: str, track: Track[Entry]) -> None:
    """Spoil what was just heard, unnoticed: the position stays where it is."""
    if bug == "loss":
        track.entries.pop()
        track.base += 1
    elif bug == "reorder" and len(track.entries) > 1:
        track.entries[-1], track.entries[-2] = track.entries[-2], track.entries[-1]
