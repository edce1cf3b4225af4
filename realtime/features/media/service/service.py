"""Media as a whole: what the other features and the doors ask for."""

from common.settings import Settings
from documents.database import Database
from media.pool import Bounds as JobBounds
from media.pool import Pool
from media.spool import Spool
from realtime.fanout import Fanout
from realtime.features.media.service.audience import Audience
from realtime.features.media.service.cutter import Cutter
from realtime.features.media.service.delivery import Delivery
from realtime.features.media.service.library import Library
from realtime.features.media.service.uploads import Uploads
from realtime.features.media.store import Shelves
from realtime.features.updates import UpdateService
from realtime.policy import Policy

CUTTING = JobBounds(memory_mb=3072, cpu_seconds=3600, wall_seconds=5400.0)
LOOKING = JobBounds(memory_mb=1536, cpu_seconds=20, wall_seconds=60.0)


class MediaService:
    """`uploads` takes in, `audience` says who sees, `delivery` sends, `library` keeps, `cutter` cuts."""

    def __init__(
        self, settings: Settings, database: Database, policy: Policy, fanout: Fanout, updates: UpdateService
    ) -> None:
        bounds, spool = settings.media, Spool(settings.data_dir / "spool")
        self.shelves = Shelves(settings.storage, database, settings.data_dir / "media")
        self._looking = Pool(bounds.image_workers, LOOKING)
        self._cutting = Pool(bounds.video_workers, CUTTING)
        self.uploads = Uploads(bounds, self.shelves, spool, self._looking)
        self.audience = Audience(policy, settings.secret(), bounds.url_lifetime)
        self.delivery = Delivery(self.audience, self.shelves)
        self.library = Library(bounds, self.shelves, spool)
        self.cutter = Cutter(bounds, self.shelves, spool, self._cutting, self.uploads)
        self.cutter.tell_by(fanout, updates)

    async def start(self) -> None:
        await self.shelves.start()
        self.cutter.start()

    async def stop(self) -> None:
        """End what is under way; a video that was being cut is taken up again by somebody."""
        await self.cutter.stop()
        await self._cutting.stop()
        await self._looking.stop()
        await self.shelves.stop()
