"""What a table of frames says: what a client writes, and what comes back."""

from dataclasses import dataclass

import pytest

from tests.protocol.echo import EchoServer
from tests.protocol.wire import Frame, Wire, close, without_reasons

NORMAL, PROTOCOL_ERROR, NOT_TEXT, TOO_BIG = 1000, 1002, 1007, 1009


@dataclass(frozen=True)
class Case:
    """A line of a table. Without a failing `end` the client closes, and is answered with its own code."""

    number: str
    said: tuple[Frame | bytes, ...]
    heard: tuple[Frame, ...] = ()
    end: int = NORMAL
    chop: int | None = None

    async def holds(self, wire: Wire) -> None:
        """Say it on a fresh connection and compare everything that comes back, to its end."""
        leaving = (close(NORMAL),) if self.end == NORMAL else ()
        await wire.say(*self.said, *leaving, chop=self.chop)
        assert without_reasons(await wire.hear_all()) == [*self.heard, close(self.end)]


def table(*cases: Case) -> pytest.MarkDecorator:
    """Parametrize a test by `case`; the numbers are those of the Autobahn suite where it has the case."""
    return pytest.mark.parametrize("case", cases, ids=[case.number for case in cases])


async def holds(echo: EchoServer, case: Case) -> None:
    """The case holds on a session of its own, which is over once."""
    async with Wire(echo.url) as wire:
        sid = (await wire.open())["sid"]
        await case.holds(wire)
        await echo.echo.end_of(sid)
    assert [gone for gone, _ in echo.echo.went].count(sid) == 1
