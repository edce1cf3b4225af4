"""Stopping does not wait for those who want nothing."""

import asyncio
import socket
import time

import pytest
from aiohttp import web

from realtime.gateway.http import Runner


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_was_only_just_opened_does_not_delay_the_end(turns: int) -> None:
    runner = Runner(web.Application(), access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with socket.create_connection(runner.addresses[0]):
        for _ in range(turns):
            await asyncio.sleep(0)
        started = time.monotonic()

        await runner.cleanup()

    assert time.monotonic() - started < 1
