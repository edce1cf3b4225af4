"""A client for one HTTP/2 server: many requests at once over one connection, which is replaced when it ends.

A request may be cancelled at any time: its stream is reset, and nothing is left of it. That, streams that the
server resets and answers without a body are what the ready-made clients did not survive when we tried them.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from ssl import SSLContext

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error

Headers = Sequence[tuple[str, str]]

MAX_ANSWER = 65_536
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 1.0


class Unreachable(Exception):
    """There is no connection to be had; nothing was sent."""


class Interrupted(Exception):
    """The answer will not come. `reached`: the server may have acted on the request."""

    def __init__(self, *, reached: bool) -> None:
        super().__init__()
        self.reached = reached


@dataclass(slots=True)
class Answer:
    """What the server said."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


@dataclass(slots=True)
class _Stream:
    done: "asyncio.Future[Answer]"
    answer: Answer = field(default_factory=Answer)
    is_sent: bool = False


class Http2:
    """The server at `host` and `port`. Requests wait for their turn where it takes only so many at once."""

    def __init__(self, host: str, port: int, context: SSLContext) -> None:
        self._host, self._port, self._context = host, port, context
        self._context.set_alpn_protocols(["h2"])
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._failed_at = 0.0

    async def post(self, path: str, headers: Headers, body: bytes) -> Answer:
        """Send and wait for the answer; raises `Unreachable` or `Interrupted`."""
        connection = await self._connect()
        authority = self._host if self._port == 443 else f"{self._host}:{self._port}"
        named = [(":method", "POST"), (":scheme", "https"), (":authority", authority), (":path", path)]
        return await connection.request([*named, *headers], body)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connect(self) -> "_Connection":
        asked_at = asyncio.get_running_loop().time()
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                if self._failed_at >= asked_at:  # while this waited for its turn
                    raise Unreachable
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> "_Connection":
        loop, connection = asyncio.get_running_loop(), _Connection()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: connection, self._host, self._port, ssl=self._context)
                await connection.ready.wait()
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            self._failed_at = loop.time()
            raise Unreachable from error
        finally:
            if not connection.ready.is_set():
                connection.abort()
        if not connection.is_open:
            self._failed_at = loop.time()
            raise Unreachable
        return connection


class _Connection(asyncio.Protocol):
    """One connection. Once it ends, in whatever form, it takes no requests and brings no answers."""

    def __init__(self) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._heard_at = 0.0
        self._lost = asyncio.Event()
        self.is_open = True
        self.ready = asyncio.Event()
        """The server has said how much it takes at once, which may be very little; or this has ended."""

    async def request(self, headers: Headers, body: bytes) -> Answer:
        began = asyncio.get_running_loop().time()
        stream_id, stream = await self._begin(headers)
        try:
            await self._send(stream_id, stream, body)
            return await stream.done
        except H2Error:
            raise Interrupted(reached=False) from None
        finally:
            self._finish(stream_id, began)

    async def _begin(self, headers: Headers) -> tuple[int, _Stream]:
        """Open a stream as soon as the server takes another one."""
        while self.is_open and self._h2.open_outbound_streams >= self._most_streams:
            await self._changed.wait()
        if not self.is_open:
            raise Interrupted(reached=False)
        try:
            stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream_id, headers)
        except H2Error:
            self._end()
            raise Interrupted(reached=False) from None
        stream = self._streams[stream_id] = _Stream(asyncio.get_running_loop().create_future())
        return stream_id, stream

    @property
    def _most_streams(self) -> int:
        return self._h2.remote_settings.max_concurrent_streams

    async def _send(self, stream_id: int, stream: _Stream, body: bytes) -> None:
        """Send as much at a time as the server has room for, unless it has answered already."""
        rest = memoryview(body)
        while not stream.done.done():
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            part, rest = rest[: max(0, room)], rest[max(0, room) :]
            stream.is_sent = not rest
            if part or stream.is_sent:
                self._h2.send_data(stream_id, part.tobytes(), end_stream=stream.is_sent)
                self._flush()
            if stream.is_sent:
                return
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _finish(self, stream_id: int, began: float) -> None:
        """Whatever came of it: reset what is still open, and distrust a connection that has gone silent."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None and self.is_open:
            is_silent = self._heard_at < began
            try:
                self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)
            except H2Error:
                is_silent = True
            self._flush()
            if is_silent:
                self._end()
        self._wake()

    async def close(self) -> None:
        """Say goodbye and wait a moment for the end."""
        if self.is_open:
            self._h2.close_connection()
            self._flush()
        self._end()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._lost.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """End at once, without a word."""
        if self._transport is not None:
            self._transport.abort()

    # -- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (what `create_connection` makes)
        self._transport = transport
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            self._end()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        try:
            events = self._h2.receive_data(data)
        except H2Error:
            self._flush()
            self._end()
            return
        for event in events:
            self._hear(event)
        self._flush()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        self._end()

    # -- what is heard

    def _hear(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=stream_id) if stream_id in self._streams:
                headers = {str(name): str(value) for name, value in event.headers}
                self._streams[stream_id].answer = Answer(int(headers.get(":status", "0")), headers)
            case DataReceived(stream_id=stream_id):
                if stream_id in self._streams:
                    answer = self._streams[stream_id].answer
                    answer.body = (answer.body + event.data)[:MAX_ANSWER]
                self._h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
            case StreamEnded(stream_id=stream_id):
                self._complete(stream_id)
            case StreamReset(stream_id=stream_id):
                self._miss(stream_id, handled=event.error_code != ErrorCodes.REFUSED_STREAM)
            case RemoteSettingsChanged():
                self.ready.set()
            case ConnectionTerminated():
                self._end(last_handled=event.last_stream_id)
            case _:
                pass

    def _complete(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.done.done():
            return
        stream.done.set_result(stream.answer)
        if stream.is_sent:
            del self._streams[stream_id]  # else it is reset: the server does not want the rest

    def _miss(self, stream_id: int, *, handled: bool) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is not None and not stream.done.done():
            stream.done.set_exception(Interrupted(reached=handled and stream.is_sent))

    def _end(self, last_handled: int | None = None) -> None:
        """No more requests, and no more answers; those behind `last_handled` have certainly done nothing."""
        self.is_open = False
        self.ready.set()
        for stream_id in list(self._streams):
            self._miss(stream_id, handled=last_handled is None or stream_id <= last_handled)
        if self._transport is not None:
            self._transport.close()
        self._wake()

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())
