"""All checks, one after the other."""

from realtime.features.media.schemas.showing import Census, Things
from realtime.features.media.service.fsck.files import Files
from realtime.features.media.service.fsck.orphans import Orphans
from realtime.features.media.service.fsck.refs import Refs
from realtime.features.media.service.fsck.report import Report, Say
from realtime.features.media.service.library import Library
from realtime.features.media.store import Shelves


class Fsck:
    """Runs while the server does, in memory that does not grow with what there is."""

    def __init__(self, shelves: Shelves, library: Library) -> None:
        self._shelves, self._library = shelves, library
        self._things: list[Things] = []

    def register(self, *things: Things) -> None:
        """Things that show uploads."""
        self._things += things

    async def run(self, say: Say, *, repair: bool = False, deep: bool = False) -> Census:
        """Say what is not as it should be, and mend what can be; what was looked at."""
        report = Report(say, repair=repair)
        await Files(self._shelves, report, deep=deep).check()
        await Refs(self._things, report).check()
        if repair:
            await self._library.sweep()
            await self._library.sweep_storages()
        await Orphans(self._shelves, report).check()
        return report.census
