"""The turnstile: of connections that come together, some may speak at once, and the others one after another.

Ten thousand connections can arrive within one pass of the event loop, and each of them costs about as much as
a command of somebody who is there. Behind the turnstile they stand in line, unread and almost free, while
every pass of the loop lets a few through; the commands between them are as prompt as ever.
"""

import asyncio
from collections import deque

A_PASS = 16
"""Connections that may begin to speak in one pass of the event loop."""


class Turnstile:
    """One line for all new connections of a process, first come first served."""

    def __init__(self, a_pass: int = A_PASS) -> None:
        self._a_pass = a_pass
        self._new: list[asyncio.Transport] = []
        self._line: deque[asyncio.Transport] = deque()
        self._is_turning = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._line)

    def come(self, transport: asyncio.Transport) -> None:
        """A connection was made: from the next pass on, it is read or it waits."""
        self._new.append(transport)
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        room = self._a_pass
        while self._line and room:
            transport = self._line.popleft()
            if not transport.is_closing():
                transport.resume_reading()
                room -= 1
        for transport in self._new:  # reading has begun by now, so that it can be paused
            if room:
                room -= 1
            elif not transport.is_closing():
                transport.pause_reading()
                self._line.append(transport)
        self._new.clear()
        self._is_turning = bool(self._line)
        if self._line:
            asyncio.get_running_loop().call_soon(self._turn)
