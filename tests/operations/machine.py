"""One machine as `supervisord.conf` sets it up: the shipped files in a folder of their own, on free ports."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
from pathlib import Path
from typing import Self

from common.engines.ports import LOOPBACK, free_port
from tests.conftest import MANY
from tests.operations.program import ROOT, SECONDS, Program, answers, fresh_connections, handshake

PACKAGES = (".venv", "common", "documents", "media", "realtime", "rest")
CORES = ("core0", "core1")


class Machine:
    """`supervisord -c supervisord.conf` with its own engines, from start to stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._prefixes = {"81": free_prefix(), "82": free_prefix()}
        self._environment = {
            "PATH": os.environ["PATH"],
            "PLAZA_ACCOUNTS__BCRYPT_COST": "4",
            "PLAZA_LIMITS__PUBLIC_PER_MINUTE": str(MANY),
            "PLAZA_LIMITS__USER_PER_MINUTE": str(MANY),
            "PLAZA_LIMITS__UNAUTHENTICATED_PER_ADDRESS": str(MANY),
            "PLAZA_TIMEOUTS__DRAIN": "1.5",
        }
        self.supervisor: Program

    async def __aenter__(self) -> Self:
        self._lay_out()
        command = str(ROOT / ".venv/bin/supervisord")
        self.supervisor = Program(command, "-c", "supervisord.conf", env=self._environment, cwd=self.folder)
        await self.supervisor.__aenter__()
        try:
            await answers(f"{self.url}/readyz")
            await self.serves_with_all()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.supervisor.process.returncode is None:
            await self.supervisor.end(signal.SIGTERM)
        await self.supervisor.__aexit__()

    def own_url(self, core: str) -> str:
        """The address of one core, past the front."""
        return f"http://{LOOPBACK}:{self._prefixes['81']}{int(core.removeprefix('core')):02d}"

    async def serves_with_all(self) -> None:
        """Wait until every core is ready and the front has noticed."""
        for name in CORES:
            await answers(f"{self.own_url(name)}/readyz")
        met: set[str] = set()
        async with asyncio.timeout(SECONDS), fresh_connections() as http:
            while not met.issuperset(CORES):
                with contextlib.suppress(ValueError):  # the front has noticed none yet
                    met.add((await handshake(http, self.url)).partition(".")[0])

    async def control(self, *arguments: str) -> str:
        """`supervisorctl …`."""
        process = await asyncio.create_subprocess_exec(
            str(ROOT / ".venv/bin/supervisorctl"),
            *("-c", "supervisord.conf", *arguments),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        return out.decode()

    async def pid(self, name: str) -> int:
        return int(await self.control("pid", name))

    def _lay_out(self) -> None:
        """The files as they are, but for the ports: a test takes only what is free."""
        for name in PACKAGES:
            (self.folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "ops", self.folder / "ops", ignore=shutil.ignore_patterns("*.log", "*.sock"))
        for name in ("supervisord.conf", "ops/haproxy.cfg"):
            text = (ROOT / name).read_text()
            assert (":8001" in text) or ("--port 81%" in text)
            text = text.replace(":8001", f":{self.port}")
            for shipped, free in self._prefixes.items():
                text = text.replace(f"--port {shipped}%", f"--port {free}%")
                text = text.replace(f"{LOOPBACK}:{shipped}", f"{LOOPBACK}:{free}")
            (self.folder / name).write_text(text)


def free_prefix() -> str:
    """Three digits before which no port of the hundred is taken where processes will listen."""
    while True:
        prefix = str(secrets.choice(range(200, 320)))
        if all(is_free(int(f"{prefix}{number:02d}")) for number in range(8)):
            return prefix


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) != 0
