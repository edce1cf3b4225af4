"""Asking for a copy of what is stored about oneself, and fetching it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

from common.errors import Conflict, NotFound
from common.ids import Id
from common.settings import Personal
from documents.personal import Export, ExportPart
from realtime.features.personal.schemas import ExportOut


class NoExport(NotFound):
    code, text = "no_export", "There is no copy. Ask for one first."


class ExportNotReady(Conflict):
    code, text, retryable = "export_not_ready", "The copy is still being made.", True


@dataclass(frozen=True, slots=True)
class Download:
    """A copy as it is fetched; reading raises `LookupError` when it goes meanwhile."""

    name: str
    size: int
    pieces: AsyncIterator[bytes]


class ExportService:
    """One copy for each person at a time; asking again while there is a recent one gives that one."""

    def __init__(self, limits: Personal) -> None:
        self._every = timedelta(seconds=limits.export_every)
        self.on_change: Callable[[], None] | None = None
        """Told that there is a copy to be made."""

    async def ask(self, user_id: Id) -> ExportOut:
        """Have a copy made, unless there is one that is recent enough."""
        export = await Export.ask(user_id, self._every)
        if export.state == "building" and self.on_change is not None:
            self.on_change()
        return _out(export)

    async def show(self, user_id: Id) -> ExportOut:
        """How far the copy is."""
        return _out(await self._find(user_id))

    async def fetch(self, user_id: Id) -> Download:
        """The copy; raises `ExportNotReady` until it is whole."""
        export = await self._find(user_id)
        if export.state != "ready":
            raise ExportNotReady(retry_after=5.0)
        name = f"plaza-{export.asked_at:%Y-%m-%d}.zip"
        return Download(name, export.size or 0, ExportPart.read(export))

    async def _find(self, user_id: Id) -> Export:
        export = await Export.of(user_id)
        if export is None:
            raise NoExport
        return export


def _out(export: Export) -> ExportOut:
    return ExportOut(
        state=export.state, asked_at=export.asked_at, size=export.size, expires_at=export.expires_at
    )
