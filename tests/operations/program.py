"""Programs under test: `python -m realtime …` as a person starts it, with what it says."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp

from common.engines import Engines
from tests.clients import eventually
from tests.conftest import MANY, SECRET

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
POLL = "/socket.io/?EIO=4&transport=polling"


def environment(engines: Engines, folder: Path, database: str) -> dict[str, str]:
    """Settings for processes over the engines of the tests."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PLAZA_ENVIRONMENT": "test",
        "PLAZA_DATA_DIR": str(folder),
        "PLAZA_MONGO_URL": engines.mongo_url,
        "PLAZA_REDIS_URL": engines.redis_url,
        "PLAZA_DATABASE": database,
        "PLAZA_JWT_SECRET": SECRET,
        "PLAZA_ACCOUNTS__BCRYPT_COST": "4",
        "PLAZA_LIMITS__PUBLIC_PER_MINUTE": str(MANY),
        "PLAZA_LIMITS__USER_PER_MINUTE": str(MANY),
        "PLAZA_LIMITS__UNAUTHENTICATED_PER_ADDRESS": str(MANY),
        "PLAZA_TIMEOUTS__DRAIN": "1.5",
    }


class Program:
    """A process that runs until the test ends, and everything it has said."""

    def __init__(self, *command: str, env: Mapping[str, str], cwd: Path) -> None:
        self._command, self._env, self._cwd = command, dict(env), cwd
        self.lines: list[str] = []
        self._heard = asyncio.Condition()
        self.process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    @classmethod
    def realtime(cls, *arguments: str, env: Mapping[str, str], cwd: Path) -> Self:
        return cls(sys.executable, "-m", "realtime", *arguments, env=env, cwd=cwd)

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._env,
            cwd=self._cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            await self.end(signal.SIGINT)
        await asyncio.wait_for(self._reader, SECONDS)  # what it left behind would keep its output open

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._heard:
                self.lines.append(line.decode())
                self._heard.notify_all()

    async def says(self, words: str, times: int = 1, seconds: float = SECONDS) -> str:
        """The line in which it says that for the first (second, …) time, already or soon."""

        def found() -> list[str]:
            return [line for line in self.lines if words in line]

        async with self._heard:
            try:
                await asyncio.wait_for(self._heard.wait_for(lambda: len(found()) >= times), seconds)
            except TimeoutError:
                raise AssertionError(f"it never said {words!r}:\n{''.join(self.lines)}") from None
        return found()[times - 1]

    async def tells(self, event: str, times: int = 1) -> dict[str, Any]:
        """The log entry of that name."""
        line = await self.says(f'"event":"{event}"', times)
        return json.loads(line[line.index("{") :])

    async def end(self, number: signal.Signals, seconds: float = SECONDS) -> int:
        """Signal it and wait; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            return await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            self.process.kill()
            raise AssertionError(f"it did not end:\n{''.join(self.lines)}") from None


def is_running(pid: int) -> bool:
    """Whether there is such a process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def fresh_connections(**options: Any) -> aiohttp.ClientSession:
    """Each request on a connection of its own, which may meet any process."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, **options))


async def handshake(http: aiohttp.ClientSession, url: str) -> str:
    """Begin a polling session; its id."""
    async with http.get(url + POLL) as reply:
        return json.loads((await reply.text())[1:])["sid"]


async def answers(url: str) -> None:
    """Until `url` answers well."""

    async def asked() -> bool:
        with contextlib.suppress(OSError, TimeoutError, aiohttp.ClientError):
            timeout = aiohttp.ClientTimeout(total=5.0)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as reply:
                return reply.status == 200
        return False

    await eventually(asked, SECONDS)
