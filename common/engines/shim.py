"""Runs one engine and stops it when our own standard input ends, which it does however our parent dies.

Run as a script, on the standard library alone: `shim.py <grace> <log> <lock descriptor> <command>…`.
Prints the engine's process id, keeps the engine's output in a log of bounded size, exits with its status.
"""

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

LOG_BYTES = 4 * 1024 * 1024
_PARENT = 0


class BoundedLog:
    """Two files of at most `limit` bytes each: this one and the one before it."""

    def __init__(self, path: Path, limit: int = LOG_BYTES) -> None:
        self._path, self._limit = path, limit
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Append `data`; a full disk costs the line, not the engine."""
        with contextlib.suppress(OSError):
            if self._file.tell() + len(data) > self._limit:
                self._file.close()
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._file = self._path.open("ab", buffering=0)
            self._file.write(data)


def supervise(engine: subprocess.Popen[bytes], output: int, log: BoundedLog, grace: float) -> int:
    """Copy the engine's output until it ends; once our parent is gone, end it: politely, then not."""
    watched, deadline = [output, _PARENT], math.inf
    while True:
        left = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select(watched, [], [], left)
        if not readable:
            engine.kill()
            deadline = math.inf
        if _PARENT in readable:
            engine.terminate()
            watched, deadline = [output], time.monotonic() + grace
        if output in readable:
            data = os.read(output, 65_536)
            if not data:
                return engine.wait()
            log.write(data)


def _stay(_signal: int, _frame: object) -> None:
    """Outlive a signal meant for everyone. SIG_IGN would do, but the engine would inherit it."""


def main(grace: str, log_path: str, lock: str, *command: str) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stay)
    log = BoundedLog(Path(log_path))
    output, engine_end = os.pipe()
    try:
        engine = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=engine_end, stderr=engine_end, pass_fds=(int(lock),)
        )
    except OSError as error:
        log.write(f"{command[0]}: {error.strerror}\n".encode())
        return 126
    os.close(engine_end)
    os.write(1, f"{engine.pid}\n".encode())
    status = supervise(engine, output, log, float(grace))
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
