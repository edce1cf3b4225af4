"""`make load`: Locust users on real Socket.IO against a fresh server; fails on loss, duplicates, disorder."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence

from loadtests.server import ROOT, Rig, run_orderly

LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
GRACE, TELLS_WITHIN = 100.0, 3.0


async def run(users: int, seconds: int, extra: Sequence[str]) -> int:
    """Start a server, let Locust at it, and return what Locust returns."""
    async with Rig(nodes=1) as rig:
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", rig.urls[0]]
        command += ["--headless", "--users", str(users), "--spawn-rate", "25", "--run-time", f"{seconds}s"]
        command += ["--stop-timeout", "15", "--only-summary", "--loglevel", "WARNING", *extra]
        code = await _watched(await asyncio.create_subprocess_exec(*command, cwd=ROOT), seconds + GRACE)
        for line in rig.nodes[0].errors()[:20]:
            print(line)
        return code


async def _watched(locust: asyncio.subprocess.Process, seconds: float) -> int:
    """Its exit code; 1, with what it was doing, when it does not end."""
    try:
        async with asyncio.timeout(seconds):
            return await locust.wait()
    except TimeoutError:
        print("Locust does not end.", flush=True)
        locust.send_signal(signal.SIGUSR1)
        await asyncio.sleep(TELLS_WITHIN)
        return 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            locust.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    """Everything unknown here is passed on to Locust."""
    options = argparse.ArgumentParser(prog="python -m loadtests", description=__doc__)
    options.add_argument("--users", type=int, default=100)
    options.add_argument("--seconds", type=int, default=60)
    given, extra = options.parse_known_args(arguments)
    return run_orderly(run(given.users, given.seconds, extra))


if __name__ == "__main__":
    sys.exit(main())
