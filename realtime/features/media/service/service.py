"""Media as a whole: what the other features and the doors ask for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from common.ids import Id
from common.settings import Settings
from documents.database import Database
from media.pool import Bounds as JobBounds
from media.pool import Pool
from media.spool import Spool
from realtime.fanout import Fanout
from realtime.features.media.service.arrivals import Arrivals
from realtime.features.media.service.audience import Audience
from realtime.features.media.service.cutter import Cutter
from realtime.features.media.service.delivery import Delivery
from realtime.features.media.service.fsck import Fsck
from realtime.features.media.service.gallery import Gallery
from realtime.features.media.service.library import Audit, Library
from realtime.features.media.service.moving import Mover
from realtime.features.media.service.pictures import People, Pictures
from realtime.features.media.service.uploads import Uploads
from realtime.features.media.store import Shelves
from realtime.features.updates import UpdateService
from realtime.policy import Policy

CUTTING = JobBounds(memory_mb=3072, cpu_seconds=3600, wall_seconds=5400.0)
LOOKING = JobBounds(memory_mb=1536, cpu_seconds=20, wall_seconds=60.0)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What media stand in: people and what they may see, how news are told, and what is written down."""

    people: People
    policy: Policy
    fanout: Fanout
    updates: UpdateService
    audit: Audit


class MediaService:
    """`uploads` takes in, `audience` says who sees, `delivery` sends, `library` keeps, `cutter` cuts.

    `fsck` and `mover` are for who looks after the installation.
    """

    def __init__(self, settings: Settings, database: Database, around: Surroundings) -> None:
        bounds, spool, policy, people = (
            settings.media,
            Spool(settings.data_dir / "spool"),
            around.policy,
            around.people,
        )
        self.shelves = Shelves(settings.storage, database, settings.data_dir / "media")
        self._looking = Pool(bounds.image_workers, LOOKING)
        self._cutting = Pool(bounds.video_workers, CUTTING)
        self.uploads = Uploads(bounds, self.shelves, spool, self._looking)
        self.audience = Audience(policy, settings.secret(), bounds.url_lifetime, settings.cdn_url)
        self.delivery = Delivery(self.audience, self.shelves)
        self.library = Library(bounds, self.shelves, spool, around.audit)
        self.fsck = Fsck(self.shelves, self.library)
        self.mover = Mover(self.shelves)
        self.pictures = Pictures(people, policy, self.uploads, self.library)
        self.arrivals = Arrivals(bounds, self.shelves, self.uploads, settings.secret())
        self.gallery = Gallery(bounds, self.uploads, self.arrivals, self.library, policy)
        self.cutter = Cutter(bounds, self.shelves, spool, self._cutting, self.uploads)
        self.cutter.tell_by(around.fanout, around.updates)

    # -- as what belongs to somebody who wants a copy of it, or leaves

    def files_of(self, user_id: Id) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Somebody's uploads by name, each read when its turn comes."""
        return self.library.files_of(user_id)

    async def erase(self, user_id: Id) -> None:
        """Delete everything somebody has uploaded, or was about to; doing it again is fine."""
        await self.arrivals.erase(user_id)
        await self.library.erase(user_id)

    async def start(self) -> None:
        await self.shelves.start()
        self.cutter.start()

    async def stop(self) -> None:
        """End what is under way; a video that was being cut is taken up again by somebody."""
        await self.cutter.stop()
        await self._cutting.stop()
        await self._looking.stop()
        await self.shelves.stop()
