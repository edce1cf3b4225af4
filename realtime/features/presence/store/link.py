"""The way to Redis: every question has a deadline, and a Redis that is down is asked by the beat alone."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from common.ids import Id

log = structlog.get_logger(__name__)

DEADLINE = 1.0
AT_ONCE = 16
"""Questions under way; a pool of connections is not endless."""

Troubles = (RedisError, OSError, TimeoutError)


class Down(Exception):
    """Redis does not answer."""


class Link:
    """Redis, as long as it answers. `space` keeps several Plazas over one Redis apart."""

    def __init__(self, redis: Redis, space: str) -> None:
        self._redis, self._prefix = redis, f"plaza:{{presence:{space}}}:"
        self._scripts: dict[str, AsyncScript] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.is_up = False

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script unless Redis is down; raises `Down`."""
        async with self._turns:
            if not self.is_up:
                raise Down
            return await self.try_run(script, keys, args)

    async def try_run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script, also to find out whether Redis is back; raises `Down`."""
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._redis.register_script(script)
        async with self._within_deadline():
            return await known(keys=[self._prefix + key for key in keys], args=args)

    async def exist(self, users: Sequence[Id]) -> tuple[Mapping[Id, bool], str]:
        """Whether these people are on any node, and the epoch of the data that say so; raises `Down`."""
        async with self._turns:
            if not self.is_up:
                raise Down
            async with self._within_deadline(), self._redis.pipeline(transaction=False) as pipe:
                pipe.get(f"{self._prefix}epoch")
                for user in users:
                    pipe.exists(f"{self._prefix}user:{user}")
                epoch, *answers = await pipe.execute()
        found = {user: bool(answer) for user, answer in zip(users, answers, strict=True)}
        return found, epoch.decode() if epoch else ""

    @asynccontextmanager
    async def _within_deadline(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(DEADLINE):
                yield
        except Troubles as trouble:
            if self.is_up:
                log.warning("presence_without_redis", error=type(trouble).__name__)
            self.is_up = False
            raise Down from trouble


def millis(seconds: float) -> int:
    return round(seconds * 1000)
