"""Guessing passwords gets nobody far: attempts are counted per account and per address, before they are made.

An address from which somebody has logged in before has a count of its own, so that strangers cannot lock the
owner out. Names that belong to nobody are counted as well, so that the answers are the same.
"""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from common.addresses import network_of
from common.clock import now
from common.errors import Overloaded, RateLimited
from common.ids import Id, derived_id
from common.settings import Accounts
from documents.accounts import LoginFailures, LoginSession


class TooManyAttempts(RateLimited):
    code, text = "too_many_attempts", "Too many attempts. Please try again later."


class Backoff:
    """Owns the counters. An attempt that turns out right is taken back."""

    def __init__(self, limits: Accounts) -> None:
        self._limits = limits
        self._window = timedelta(seconds=limits.failure_window)

    @asynccontextmanager
    async def attempt(self, account: Id, address: str) -> AsyncGenerator[None]:
        """Count an attempt on an account; leaving without an exception says that it was right."""
        place = network_of(address)
        by_address = f"address:{place}"
        by_account = f"account:{account}"
        if await LoginSession.knows_address(account, address):
            by_account = f"{by_account}@{place}"
        await self._count(by_address, self._limits.failures_per_address)
        await self._count(by_account, self._limits.failures_per_account)
        try:
            yield
        except Overloaded:  # nothing was compared
            await LoginFailures.take_back(by_account)
            await LoginFailures.take_back(by_address)
            raise
        await LoginFailures.forget(by_account)
        await LoginFailures.take_back(by_address)

    async def forgive(self, account: Id) -> None:
        """Start an account's count anew."""
        await LoginFailures.forget(f"account:{account}")

    async def _count(self, key: str, most: int) -> None:
        until = await LoginFailures.count_one(key, most, self._window)
        if until is not None:
            raise TooManyAttempts(retry_after=_seconds_to(until))


def nobody(key: str) -> Id:
    """What stands for an account that does not exist."""
    return derived_id("nobody", hashlib.sha256(key.encode()).hexdigest())


def _seconds_to(moment: datetime) -> float:
    return max(1.0, (moment - now()).total_seconds())
