"""Loopback ports: finding a free one, keeping it, and knocking on it."""

import asyncio
import contextlib
import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

# Below the range from which Linux and macOS draw outgoing ports: while an engine restarts, no client can be
# given its port by chance.
_RANGE = range(20_000, 32_000)


def kept_port(file: Path) -> int:
    """The port noted in `file` if it is free, else a free one, noted there."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(file.read_text())
        if _is_free(port):
            return port
    port = free_port()
    file.write_text(f"{port}\n")
    return port


def free_port() -> int:
    while True:
        port = secrets.choice(_RANGE)
        if _is_free(port):
            return port


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True
