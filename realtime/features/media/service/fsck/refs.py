"""Whether uploads and the things that show them agree: who may see an upload hangs on it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from common.clock import now
from common.ids import Id
from documents.media import VISIBLE, Media, Mends, Pages, UserImage
from realtime.features.media import rules
from realtime.features.media.schemas import address_of
from realtime.features.media.schemas.showing import Showing, Things
from realtime.features.media.service.fsck.report import Report

GRACE = timedelta(hours=1)
"""So long something may be on its way that is going to show an upload."""


class ShownUserImages:
    """Pictures as things that show uploads."""

    kinds = frozenset({"avatar", "gallery"})

    async def standing(self, refs: Sequence[str]) -> Sequence[Showing]:
        found = await Pages.pictures_of([ref.partition(":")[2] for ref in refs])
        return [_showing(image) for image in found]

    async def walk(self) -> AsyncIterator[Sequence[Showing]]:
        async for page in Pages.pictures():
            yield [_showing(image) for image in page]


def _showing(image: UserImage) -> Showing:
    return rules.picture_ref(image), image.owner, address_of(image.media)


class Refs:
    """Walks over all uploads, and over all things that show one."""

    def __init__(self, things: Sequence[Things], report: Report) -> None:
        self._things, self._report = (*things, ShownUserImages()), report

    async def check(self) -> None:
        before = now() - GRACE
        async for page in Pages.media():
            await self._check_uploads([one for one in page if one.state in VISIBLE and one.refs], before)
        for things in self._things:
            async for shown in things.walk():
                await self._check_things(things, shown)

    # -- uploads that name things

    async def _check_uploads(self, page: Sequence[Media], before: datetime) -> None:
        stands = await self._standing([ref for media in page for ref in media.refs])
        known = {kind for things in self._things for kind in things.kinds}
        for media in page:
            if media.changed_at > before:
                continue
            gone = [ref for ref in media.refs if (ref, media.id) not in stands]
            if strange := [ref for ref in gone if ref.partition(":")[0] not in known]:
                await self._report.found("ref", media.id, f"{', '.join(strange)}: nobody knows such things")
            if stale := [ref for ref in gone if ref not in strange]:
                mend = partial(Mends.drop_refs, media.id, stale, before)
                await self._report.found("ref", media.id, f"{', '.join(stale)}: does not show it", mend)

    async def _standing(self, refs: Sequence[str]) -> set[tuple[str, Id]]:
        """Refs that stand, each with the upload that its thing shows."""
        found: set[tuple[str, Id]] = set()
        for things in self._things:
            asked = [ref for ref in refs if ref.partition(":")[0] in things.kinds]
            for ref, _, address in await things.standing(asked) if asked else ():
                found.add((ref, rules.media_in(address)))
        return found

    # -- things that name uploads

    async def _check_things(self, things: Things, shown: Sequence[Showing]) -> None:
        uploads = await Media.many({rules.media_in(address) for _, _, address in shown} - {""})
        for ref, owner, address in shown:
            media_id = rules.media_in(address)
            media = uploads.get(media_id)
            if media_id and media is None:
                await self._tell_dangling(things, ref, owner, media_id)
            elif media is not None and media.owner != owner:
                await self._report.found("thing", ref, f"shows {media_id}, which is somebody else's")
            elif media is not None and ref not in media.refs:
                mend = partial(self._attach, things, ref, owner, media_id)
                await self._report.found("thing", ref, f"shows {media_id}, which does not know of it", mend)

    async def _tell_dangling(self, things: Things, ref: str, owner: Id, media_id: Id) -> None:
        """A picture is nothing without its upload; of other things the rest remains."""

        async def remove() -> bool:
            return await UserImage.remove(ref.partition(":")[2], owner) is not None

        mend = remove if isinstance(things, ShownUserImages) else None
        await self._report.found("thing", ref, f"shows {media_id}, which is gone", mend)

    async def _attach(self, things: Things, ref: str, owner: Id, media_id: Id) -> bool:
        stands = [(one, rules.media_in(address)) for one, _, address in await things.standing([ref])]
        return (ref, media_id) in stands and await Media.attach(media_id, owner, ref) is not None
