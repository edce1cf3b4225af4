"""What ends a process: signals, and whatever else its work cannot go on without."""

import asyncio
import signal
import sys
from collections.abc import Awaitable


def stop_signals() -> "asyncio.Future[str]":
    """The name of the signal that asked to stop, once one does; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[str] = loop.create_future()

    def stop(name: str) -> None:
        if not stopping.done():
            stopping.set_result(name)
        else:
            sys.exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    return stopping


async def first_of(stopping: "asyncio.Future[str]", *failing: Awaitable[str]) -> str:
    """Why to stop: the first of these that comes true."""
    others = [asyncio.ensure_future(one) for one in failing]
    done, _ = await asyncio.wait([stopping, *others], return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    return next(iter(done)).result()
