"""A real browser without a window, spoken to by its debugging protocol."""

import asyncio
import contextlib
import itertools
import os
from pathlib import Path
from typing import Any, Self

import aiohttp

UNPACKED = Path(__file__).parent.parent / "js" / "node_modules" / ".chromium"
"""Installed with the JavaScript client (.ci/install-js)."""
PROGRAM, LIBRARIES = UNPACKED / "chromium", UNPACKED / "al2023" / "lib"
WITHIN = 60.0
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--mute-audio",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)


class Browser:
    """One page. What it runs is JavaScript; what it fetches is written down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.answers: list[tuple[int, str]] = []
        """Statuses and addresses of what was fetched."""
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._session = ""
        self._process: asyncio.subprocess.Process
        self._http: aiohttp.ClientSession
        self._line: aiohttp.ClientWebSocketResponse
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        assert PROGRAM.is_file(), "the browser is not installed: use `make test`"
        self._process = await asyncio.create_subprocess_exec(
            *(PROGRAM, *SWITCHES, f"--user-data-dir={self._folder}"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "HOME": str(self._folder),
                "TMPDIR": str(self._folder),
                "LD_LIBRARY_PATH": str(LIBRARIES),
            },
        )
        self._http = aiohttp.ClientSession()
        async with asyncio.timeout(WITHIN):
            self._line = await self._http.ws_connect(await self._address(), max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        target = await self._ask("Target.createTarget", url="about:blank")
        attached = await self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self._ask("Network.enable")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._http.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()

    async def _address(self) -> str:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            _, listens, address = line.decode(errors="replace").partition("DevTools listening on ")
            if listens:
                return address.strip()
        raise AssertionError("the browser does not run here")

    async def _read(self) -> None:
        async for packet in self._line:
            said = packet.json()
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            elif said["method"] == "Network.responseReceived":
                response = said["params"]["response"]
                self.answers.append((response["status"], response["url"]))

    async def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._line.send_json({"id": number, "method": method, "params": params, **session})
        async with asyncio.timeout(WITHIN):
            said = await answer
        assert "error" not in said, said
        return said["result"]

    async def open(self, url: str) -> None:
        """Go to a page, as one that may show what it likes, and wait until it is there."""
        await self._ask("Page.setBypassCSP", enabled=True)
        await self._ask("Page.navigate", url=url)
        await self.run("new Promise(done => document.readyState === 'complete' ? done() : onload = done)")

    async def slow_down(self, rate: int) -> None:
        """Let no more than so many bytes a second come in."""
        await self._ask(
            "Network.emulateNetworkConditions",
            offline=False,
            latency=0,
            downloadThroughput=rate,
            uploadThroughput=-1,
        )

    async def run(self, script: str) -> Any:
        """What an expression becomes; a promise is waited for."""
        said = await self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")
