"""Findings, told one by one as they are made: their number has no bound, memory has."""

from collections.abc import Awaitable, Callable

from realtime.features.media.schemas.showing import Census, Finding, Usage

Say = Callable[[Finding], None]
Mend = Callable[[], Awaitable[bool]]


class Report:
    """Says what is found, and mends it if it may."""

    def __init__(self, say: Say, *, repair: bool) -> None:
        self._say, self._repair = say, repair
        self.census = Census()

    async def found(self, kind: str, about: str, detail: str = "", mend: Mend | None = None) -> None:
        mended = self._repair and mend is not None and await mend()
        self.census.findings[kind] = self.census.findings.get(kind, 0) + 1
        self.census.mended += mended
        self._say(Finding(kind, about, detail, mended))


def count(usages: dict[str, Usage], kind: str, size: int) -> None:
    """One file more."""
    usage = usages.setdefault(kind, Usage())
    usage.files += 1
    usage.size += size
