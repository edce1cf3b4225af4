"""Keeping what one works on from other nodes, for as long as it takes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

OFTEN = 3
"""How many times a lease is renewed while it lasts."""
CANCEL_AGAIN = 0.5


class Leased(Protocol):
    async def hold(self, lease: timedelta) -> object:
        """Go on working on it."""
        ...


@asynccontextmanager
async def held(things: Sequence[Leased], lease: timedelta) -> AsyncGenerator[None]:
    """Renew leases meanwhile. Should one be lost, two nodes do the same, which does no harm."""
    renewing = asyncio.get_running_loop().create_task(_renew(things, lease))
    try:
        yield
    finally:
        await stopped(renewing)


async def _renew(things: Sequence[Leased], lease: timedelta) -> None:
    while True:
        await asyncio.sleep(lease.total_seconds() / OFTEN)
        try:
            for thing in things:
                await thing.hold(lease)
        except Exception as error:
            log.warning("lease_not_renewed", error=type(error).__name__)


async def stopped(task: asyncio.Task[None]) -> None:
    """Stop a task for certain: on Python 3.11 a cancellation can get lost in a client's `wait_for`."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN)
