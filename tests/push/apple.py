"""A push service that speaks Apple's protocol: HTTP/2 over TLS, and tokens signed with ES256."""

import asyncio
import json
import ssl
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jwt
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes

Json = Any


@dataclass
class Asked:
    """One request, as it arrived."""

    path: str
    headers: dict[str, str]
    body: Json
    claims: dict[str, Any]
    size: int

    @property
    def token(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass
class Answer:
    """What is answered, unless it `hangs`, `resets` the stream, `goes away` or `cuts` the connection."""

    status: int = 200
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Json] = field(default_factory=dict)
    does: str = "answers"


class Apple:
    """The server. `answers` are given in their order, then everything is well."""

    def __init__(self, public_key: Any, key_id: str, team_id: str) -> None:
        self._public_key, self._key_id, self._team_id = public_key, key_id, team_id
        self.asked: list[Asked] = []
        self.answers: deque[Answer] = deque()
        self.connections = 0
        self.provider_tokens: set[str] = set()
        self.is_slow = False
        self.streams = 100
        """How many requests one connection may carry at once."""
        self._held: list[Callable[[], None]] = []
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self.port = 0

    async def start(self, certificate: trustme.LeafCert, port: int = 0) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        context.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._open):
            connection.cut()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def claims_of(self, headers: dict[str, str]) -> dict[str, Any]:
        """What a provider token says, once its signature has been checked."""
        scheme, _, token = headers["authorization"].partition(" ")
        assert scheme == "bearer"
        self.provider_tokens.add(token)
        assert jwt.get_unverified_header(token)["kid"] == self._key_id
        return jwt.decode(token, self._public_key, algorithms=["ES256"], issuer=self._team_id)

    def joined(self, connection: "_Connection") -> None:
        self.connections += 1
        self._open.add(connection)

    def left(self, connection: "_Connection") -> None:
        self._open.discard(connection)

    def answer(self, say: Callable[[], None]) -> None:
        """Say it now, or when this server is no longer slow."""
        if self.is_slow:
            self._held.append(say)
        else:
            say()

    def hurry(self) -> None:
        """Answer everything that waits."""
        self.is_slow = False
        held, self._held = self._held, []
        for say in held:
            say()

    @property
    def alerts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.headers["apns-push-type"] == "alert"]

    @property
    def removals(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.headers["apns-push-type"] == "background"]

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        asked = Asked(headers[":path"], headers, json.loads(body), self.claims_of(headers), len(body))
        assert headers[":method"] == "POST"
        self.asked.append(asked)
        return self.answers.popleft() if self.answers else Answer()


class _Connection(asyncio.Protocol):
    def __init__(self, apple: Apple) -> None:
        self._apple = apple
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._apple.joined(self)
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self._apple.streams})
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._apple.left(self)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            match event:
                case RequestReceived():
                    self._requests[event.stream_id] = (dict(event.headers), bytearray())  # type: ignore[arg-type]
                case DataReceived():
                    self._requests[event.stream_id][1].extend(event.data)
                    self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded():
                    headers, body = self._requests.pop(event.stream_id)
                    name = headers.get("apns-id", str(uuid.uuid4()))
                    answer = self._apple.take(headers, bytes(body))
                    self._apple.answer(partial(self._answer, event.stream_id, name, answer))
                case StreamReset():
                    self._requests.pop(event.stream_id, None)
                case _:
                    pass
        self._flush()

    def _answer(self, stream_id: int, name: str, answer: Answer) -> None:
        match answer.does:
            case "hangs":
                return
            case "resets":
                self._h2.reset_stream(stream_id)
                return
            case "cuts":
                self.cut()
                return
            case "goes away":
                self._h2.close_connection(last_stream_id=stream_id - 2 if stream_id > 1 else 0)
                return
        try:
            headers = [(":status", str(answer.status)), ("apns-id", name), *answer.headers.items()]
            body = json.dumps({"reason": answer.reason, **answer.fields}).encode() if answer.reason else b""
            self._h2.send_headers(stream_id, headers, end_stream=not body)
            if body:
                self._h2.send_data(stream_id, body, end_stream=True)
            self._flush()
        except StreamClosedError:
            return

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())
