"""Servers that the protocol tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.protocol.echo import EchoServer, serve_echo, settings_for


@pytest.fixture(scope="session")
async def echo() -> AsyncIterator[EchoServer]:
    """An echo whose heartbeat does not get into the way."""
    async with serve_echo(settings_for()) as server:
        yield server
