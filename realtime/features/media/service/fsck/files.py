"""Whether storages keep what uploads say: the file, its size and, if asked for, its very bytes."""

import hashlib
from collections.abc import Sequence

from common.errors import AppError
from documents.media import VISIBLE, Media, MediaFile, Mends, Pages
from media.storage import Missing, StorageError
from realtime.features.media import rules
from realtime.features.media.service.fsck.report import Report, count
from realtime.features.media.store import Shelves


class Files:
    """Walks over all uploads. What is moved, cut or deleted meanwhile is left alone."""

    def __init__(self, shelves: Shelves, report: Report, *, deep: bool) -> None:
        self._shelves, self._report, self._deep = shelves, report, deep

    async def check(self) -> None:
        async for page in Pages.media():
            for media in page:
                await self._check(media)

    async def _check(self, media: Media) -> None:
        states, told = self._report.census.uploads, self._report.census.told
        states[media.state] = states.get(media.state, 0) + 1
        if media.state not in VISIBLE:
            return  # its bytes are coming, or being removed: what remains of that is swept
        for file in _all(media):
            count(told, file.storage_type, file.size)
        bad = await self._bad(media)
        again = await Pages.again(media.id) if bad else None
        if again is not None and again.state == media.state and _all(again) == _all(media):
            await self._tell(media, bad)
        elif not bad and media.state == "ready":
            await self._count(media)

    async def _bad(self, media: Media) -> dict[str, str]:
        """Keys of files that are not as they should be, and why."""
        # A video that is being cut gets its files anew before its document says so: only its source counts.
        looked_at = media.files if media.state == "ready" else _all(media)[len(media.files) :]
        found = {file.key: await self._trouble(file) for file in looked_at}
        return {key: trouble for key, trouble in found.items() if trouble}

    async def _trouble(self, file: MediaFile) -> str:
        try:
            kept = await self._shelves.of(file.storage_type).find(file.key)
            if kept is None:
                return "missing"
            if kept.size != file.size:
                return f"has {kept.size} bytes, not {file.size}"
            return await self._trouble_within(file) if self._deep else ""
        except Missing:
            return "missing"
        except (StorageError, AppError):
            raise rules.StorageDown from None

    async def _trouble_within(self, file: MediaFile) -> str:
        digest = hashlib.sha256()
        async for piece in self._shelves.of(file.storage_type).read(file.key):
            digest.update(piece)
        return "" if digest.hexdigest() == file.sha256 else "has other bytes than were stored"

    async def _tell(self, media: Media, bad: dict[str, str]) -> None:
        detail = "; ".join(f"{key} {trouble}" for key, trouble in bad.items())
        await self._report.found("file", media.id, detail, lambda: self._mend(media, bad))

    async def _mend(self, media: Media, bad: dict[str, str]) -> bool:
        """Let an upload be what is left of it; without its main file it is nothing."""
        whole = [file for file in media.files if file.key not in bad]
        if all(file.variant for file in whole):
            return await Mends.lose(media)
        if media.state == "processing":
            return await Mends.settle_without_source(media)
        return await Mends.keep_files(media, _coherent(media.files, whole))

    async def _count(self, media: Media) -> None:
        size = sum(file.size for file in media.files)
        if size != media.size:
            detail = f"counts {media.size} bytes for its owner, not {size}"
            await self._report.found("usage", media.id, detail, lambda: Mends.count(media, size))


def _all(media: Media) -> list[MediaFile]:
    return [*media.files, *([media.source] if media.source is not None else [])]


def _coherent(files: Sequence[MediaFile], whole: Sequence[MediaFile]) -> list[MediaFile]:
    """What is whole; of streams, whose playlists name each other, all or nothing."""
    lost = [file for file in files if file not in whole and _is_stream(file)]
    return [file for file in whole if not (lost and _is_stream(file))]


def _is_stream(file: MediaFile) -> bool:
    return file.variant.startswith("hls") or file.variant.endswith("p")
