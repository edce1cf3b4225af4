"""The way in for other features: a note is written down, and couriers do the rest."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from common.clock import now
from common.errors import as_app_error
from common.ids import Id
from common.settings import Push as PushSettings
from documents.push import Placing, PushDelivery, PushDevice
from realtime.features.push.rules.notes import packed
from realtime.features.push.schemas import Focus, Logins, Providers, PushNote
from realtime.features.push.service.courier import Courier, end_task
from realtime.features.push.service.devices import DeviceService
from realtime.features.push.service.foreground import Foreground
from realtime.features.push.service.sorting import Sorting

log = structlog.get_logger(__name__)

TIDY_EVERY = 5.0
OVERLAP = timedelta(seconds=60)
"""How far back ended log-ins are looked for, again and again: clocks differ, and nodes may be away."""


class PushService:
    """Owns the couriers. Without a provider for a platform nothing is written down for its devices."""

    def __init__(self, settings: PushSettings, providers: Providers, logins: Logins, focus: Focus) -> None:
        self._settings, self._platforms = settings, tuple(providers.pushes)
        self.devices = DeviceService(settings, logins, providers.web_key)
        self.foreground = Foreground(focus)
        sorting = Sorting(settings, logins, self.devices, self.foreground)
        self._couriers = {
            platform: Courier(platform, push, sorting, settings)
            for platform, push in providers.pushes.items()
        }
        self._tidying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send, also what other nodes have left."""
        for courier in self._couriers.values():
            courier.start()
        self._tidying = asyncio.get_running_loop().create_task(self._tidy())

    async def stop(self) -> None:
        """End within a few seconds; what is not sent by then is sent by others, or after the next start."""
        if self._tidying is not None:
            await end_task(self._tidying)
        await asyncio.gather(*(courier.stop() for courier in self._couriers.values()))

    async def put(self, note: PushNote) -> None:
        """Have the note sent to the person's devices, in place of an older one with its key.

        Once this returns the note survives a crash. It is sent a little later, and only if the person is not
        looking at the app then. The same note again is not sent again.
        """
        content = packed(note)
        devices = await PushDevice.targets(note.user_id, self._platforms) if self._platforms else ()
        if not devices:
            return
        delay, lifetime = self._settings.delay, self._settings.lifetime
        await PushDelivery.put(Placing(note.user_id, note.key, content, delay, lifetime), devices)
        self._nudge(delay)

    async def dismiss(self, user_id: Id, keys: Sequence[str]) -> None:
        """Take back the notes with these keys: what waits is forgotten, what devices show is removed."""
        if not self._platforms or not keys:
            return
        await PushDelivery.take_back(user_id, keys, self._settings.lifetime)
        self._nudge(0.0)

    def _nudge(self, seconds: float) -> None:
        for courier in self._couriers.values():
            courier.nudge(seconds)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY)
            try:
                await self.devices.end_with_logins(now() - OVERLAP)
            except Exception as error:
                log.warning("push_devices_not_tidied", code=as_app_error(error).code)
