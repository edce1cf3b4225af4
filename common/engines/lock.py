"""One owner per data directory.

The lock is a file description handed down to every engine, so it stays taken while any engine still runs,
even one whose owner was killed a moment ago.
"""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from common.engines.errors import EngineInUse

# How long to wait for the engines of an owner that is gone, and for an owner that may be on its way out.
_ORPHANS_STOP_IN = 10.0
_OWNER_LEAVES_IN = 1.0


class DataLock:
    """Holds `engines.lock` in a data directory; the file names the owner's process id."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        if self._descriptor is None:
            raise RuntimeError("the data directory is not locked")
        return self._descriptor

    async def acquire(self) -> None:
        """Take the lock, or raise `EngineInUse` naming who has it."""
        descriptor = os.open(self._data_dir / "engines.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            await self._acquire(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def _acquire(self, descriptor: int) -> None:
        since = time.monotonic()
        while not _try_lock(descriptor):
            owner = _owner(descriptor)
            alive = owner is not None and _is_alive(owner)
            if time.monotonic() - since > (_OWNER_LEAVES_IN if alive else _ORPHANS_STOP_IN):
                holder = f"process {owner}" if alive else f"an engine that process {owner} left behind"
                raise EngineInUse(f"{self._data_dir.absolute()} is in use by {holder}")
            await asyncio.sleep(0.05)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> int | None:
    try:
        return int(os.pread(descriptor, 32, 0))
    except ValueError:
        return None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
