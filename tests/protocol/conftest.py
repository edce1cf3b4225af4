"""Servers that the protocol tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.clients import Http
from tests.protocol.echo import EchoServer, serve_echo, settings_for
from tests.protocol.polling import Polling
from tests.protocol.wire import Wire


@pytest.fixture(scope="session")
async def echo() -> AsyncIterator[EchoServer]:
    """An echo whose heartbeat does not get into the way."""
    async with serve_echo(settings_for()) as server:
        yield server


@pytest.fixture
async def polling(echo: EchoServer) -> AsyncIterator[Polling]:
    async with Polling(echo.url) as session:
        yield session


@pytest.fixture
async def http(echo: EchoServer) -> AsyncIterator[Http]:
    async with Http(echo.url) as client:
        yield client


@pytest.fixture
async def wire(echo: EchoServer) -> AsyncIterator[Wire]:
    """A WebSocket that was greeted."""
    async with Wire(echo.url) as socket:
        await socket.open()
        yield socket
