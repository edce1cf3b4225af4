"""A raw Engine.IO/Socket.IO client: it can say what no library would."""

import asyncio
import json
import ssl
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, Self

import aiohttp

WAIT = 5.0


class RawSocket:
    """A WebSocket to `/socket.io/` that sends and reads packets as text."""

    def __init__(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        query: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = f"{url}/socket.io/?EIO=4&transport=websocket{query}"
        self._headers = headers or {}
        self._http = aiohttp.ClientSession()
        self._tls = tls or True
        self.ws: aiohttp.ClientWebSocketResponse

    async def __aenter__(self) -> Self:
        try:
            self.ws = await self._http.ws_connect(
                self._url, headers=self._headers, compress=15, max_msg_size=0, ssl=self._tls
            )
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ws.close()
        await self._http.close()

    async def say(self, text: str) -> None:
        await self.ws.send_str(text)

    async def hear(self) -> str:
        """The next packet; pings are answered on the way. Empty when the socket is closed."""
        while True:
            message = await self.ws.receive(WAIT)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return ""
            if message.data != "2":
                return message.data
            await self.say("3")

    async def open(self, token: str | None) -> str:
        """Greet and CONNECT; the answer to it."""
        assert (await self.hear()).startswith("0")
        await self.say("40" + json.dumps({"token": token}) if token is not None else "40")
        return await self.hear()

    async def answer(self, packet: str, ack: int | None = None) -> Any:
        """Say a packet and return the content of its ack, or of the `error` event it leads to."""
        await self.say(packet)
        while heard := await self.hear():
            if ack is not None and heard.startswith(f"43{ack}["):
                return json.loads(heard[2 + len(str(ack)) :])[0]
            if ack is None and heard.startswith('42["error"'):
                return json.loads(heard[2:])[1]
        raise AssertionError("the socket was closed")

    def write_bytes(self, data: bytes) -> None:
        """Write to the connection below the protocol."""
        connection = self.ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.write(data)

    def stop_reading(self, *, for_good: bool = True) -> None:
        """Stall: the kernel's buffer (made small, if it is for good) fills, then the server's."""
        connection = self.ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        if for_good:
            connection.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
        connection.transport.pause_reading()

    def read_on(self) -> None:
        """Read again after a stall."""
        connection = self.ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.resume_reading()

    async def closed(self, seconds: float = WAIT) -> int | None:
        """Wait for the end; the close code."""
        async with asyncio.timeout(seconds):
            while await self.hear():
                pass
        return self.ws.close_code
