"""Valkeys of one's own for a test: alone, as a cluster, or watched by a sentinel. All end with the test."""

import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis

from common.engines.binaries import find_valkey
from common.engines.lock import DataLock
from common.engines.ports import LOOPBACK, free_port
from common.engines.process import EngineProcess, EngineSpec
from tests.clients import eventually

SLOTS = 16_384
SERVICE = "plaza-test"


class Valkey:
    """One server in a folder of its own. Killed, it comes back at once unless it was told to stay away."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self._lock = DataLock(folder)
        self._options = options
        self._process: EngineProcess | None = None

    def _command(self) -> list[str]:
        common = ["--dir", str(self.folder), "--bind", LOOPBACK, "--port", str(self.port)]
        return [str(find_valkey()), *common, "--save", "", "--appendonly", "no", *self._options]

    async def __aenter__(self) -> Self:
        await self._lock.acquire()
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()
        self._lock.release()

    async def up(self) -> None:
        spec = EngineSpec("valkey-server", self._command(), self.port, self.folder / "valkey.log")
        self._process = EngineProcess(spec, self._lock.descriptor)
        await self._process.start()

    async def down(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            self.signal(signal.SIGCONT, process.pid)
            await process.stop()

    def signal(self, number: signal.Signals, pid: int | None = None) -> None:
        if pid is None:
            assert self._process is not None
            pid = self._process.pid
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def option(self, name: str) -> str:
        return self._options[self._options.index(name) + 1]

    async def ask(self, *words: Any) -> Any:
        """One command over a connection of its own."""
        async with Redis(host=LOOPBACK, port=self.port, protocol=2) as client:
            return await client.execute_command(*words)


class SentinelValkey(Valkey):
    """A sentinel, which keeps its knowledge in its configuration file."""

    def __init__(self, folder: Path, primary: Valkey) -> None:
        super().__init__(folder)
        self._file = folder / "sentinel.conf"
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"dir {folder}",
            f"sentinel monitor {SERVICE} {LOOPBACK} {primary.port} 1",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 2000",
        ]
        self._file.write_text("\n".join(lines) + "\n")

    def _command(self) -> list[str]:
        return [str(find_valkey()), str(self._file), "--sentinel"]


class ValkeyCluster:
    """Three primaries that share the slots, without replicas."""

    def __init__(self, folder: Path) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        options += ("--cluster-require-full-coverage", "no")
        self.members = [
            Valkey(folder / str(number), *options, "--cluster-port", str(free_port())) for number in range(3)
        ]
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{LOOPBACK}:{member.port}" for member in self.members)

    async def __aenter__(self) -> Self:
        try:
            for member in self.members:
                await self._stack.enter_async_context(member)
            await self._join()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _join(self) -> None:
        first, share = self.members[0], SLOTS // len(self.members) + 1
        for number, member in enumerate(self.members):
            start, end = number * share, min((number + 1) * share, SLOTS) - 1
            await member.ask("CLUSTER", "ADDSLOTSRANGE", start, end)
        for member in self.members[1:]:
            await member.ask("CLUSTER", "MEET", LOOPBACK, first.port, first.option("--cluster-port"))
        for member in self.members:
            await eventually(lambda member=member: self._agrees(member), 20)

    async def _agrees(self, member: Valkey) -> bool:
        info = await member.ask("CLUSTER", "INFO")
        state = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
        return state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == len(self.members)

    async def move(self, slot: int, to: Valkey) -> None:
        """Give an empty slot to another member."""
        name = await to.ask("CLUSTER", "MYID")
        for member in (to, *(other for other in self.members if other is not to)):
            await member.ask("CLUSTER", "SETSLOT", slot, "NODE", name)
