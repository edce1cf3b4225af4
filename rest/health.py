"""Looking at the parts of this process: quickly, and not more often than once a second."""

import asyncio
import os
import resource
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aiohttp import web
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common import clock
from common.version import VERSION

if TYPE_CHECKING:
    from realtime.bootstrap import Services

PATIENCE = 1.0
FRESH = 1.0
LITTLE_SPACE = 512 * 1024 * 1024

Status = Literal["ok", "low", "down", "off"]


class Check(BaseModel):
    """How one part is. What stands beside `status` is for administrators."""

    status: Status
    ms: float | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None
    rss_bytes: int | None = None
    seconds: float | None = None


class Report(BaseModel):
    """How this node is. `degraded`: it serves, and somebody should look."""

    status: Literal["ok", "degraded", "down"]
    version: str
    environment: str
    timestamp: datetime
    checks: dict[str, Check]

    def for_everyone(self) -> "Report":
        """Statuses alone."""
        bare = {name: Check(status=check.status) for name, check in self.checks.items()}
        return self.model_copy(update={"checks": bare})


class Inspector:
    """Looks at everything this node needs. Many who ask at once share one look."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._looking: asyncio.Task[Report] | None = None
        self._looked_at = 0.0

    async def report(self) -> Report:
        """How things are, at most a second old."""
        fresh = time.monotonic() - self._looked_at < FRESH
        if self._looking is None or (self._looking.done() and not fresh):
            self._looked_at = time.monotonic()
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return await asyncio.shield(self._looking)

    async def is_database_up(self) -> bool:
        """Whether the database answers within a second."""
        return (await _ping(self._services.health.database.ping)).status == "ok"

    async def _look(self) -> Report:
        services = self._services
        database, redis, storage = await asyncio.gather(
            _ping(services.health.database.ping),
            _ping_redis(services.redis),
            asyncio.to_thread(_storage, services.settings.data_dir),
        )
        checks = {
            "database": database,
            "redis": redis,
            "storage": storage,
            "memory": Check(status="ok", rss_bytes=_resident_bytes()),
            "uptime": Check(status="ok", seconds=round(time.monotonic() - services.health.started, 1)),
        }
        return Report(
            status=_overall(checks),
            version=VERSION,
            environment=services.settings.environment,
            timestamp=clock.now(),
            checks=checks,
        )


INSPECTOR = web.AppKey("inspector", Inspector)


def _overall(checks: dict[str, Check]) -> Literal["ok", "degraded", "down"]:
    if checks["database"].status != "ok":
        return "down"
    return "ok" if all(check.status in ("ok", "off") for check in checks.values()) else "degraded"


async def _ping(ping: Callable[[], Awaitable[bool | int]]) -> Check:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            answered = await ping() is not False
    except (TimeoutError, OSError, RedisError):
        answered = False
    return Check(status="ok" if answered else "down", ms=round((time.perf_counter() - started) * 1000, 1))


async def _ping_redis(redis: Redis | None) -> Check:
    if redis is None:
        return Check(status="off")
    return await _ping(lambda: redis.exists("plaza:ping"))


def _storage(folder: Path) -> Check:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return Check(status="down")
    status: Status = "ok" if usage.free > LITTLE_SPACE else "low"
    return Check(status=status, free_bytes=usage.free, total_bytes=usage.total)


def _resident_bytes() -> int:
    """Memory in use now, or at its peak where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
