"""What becomes of deliveries that were taken: which are sent, which wait, which have lost their point."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from common import metrics
from common.clock import now
from common.ids import Id
from common.settings import Push as PushSettings
from documents.push import Claims, PushDelivery, PushDevice
from realtime.features.push.rules.notes import tag
from realtime.features.push.schemas import Alert, Logins, Parcel, Removal, Target
from realtime.features.push.service.devices import DeviceService
from realtime.features.push.service.foreground import Foreground

KEEP_DEAD = 7 * 86_400.0
MAX_REMOVED = 50
"""Notes that one push removes: what fits into it."""


@dataclass(slots=True)
class Errand:
    """One thing to send to one device, and the deliveries that are done with it."""

    device: PushDevice
    parcel: Parcel
    deliveries: list[PushDelivery]

    @property
    def target(self) -> Target:
        keys = self.device.keys
        return Target(self.device.token, keys.p256dh if keys else "", keys.auth if keys else "")


@dataclass(slots=True)
class Around:
    """What is known of the devices and people of a batch."""

    devices: Mapping[Id, PushDevice]
    living: Collection[Id]
    focused: Collection[Id]
    removals: dict[Id, list[PushDelivery]] = field(default_factory=dict[Id, list[PushDelivery]])


class Sorting:
    """Decides at the time of sending: the device may be gone by now, or its owner may be looking."""

    def __init__(
        self, settings: PushSettings, logins: Logins, devices: DeviceService, foreground: Foreground
    ) -> None:
        self._settings, self._logins = settings, logins
        self._devices, self._foreground = devices, foreground

    async def sort(self, taken: Sequence[PushDelivery]) -> list[Errand]:
        """End the claims of what is not to be sent now; the rest, put together for each device."""
        around = await self._look_around(taken)
        found = [errand for one in taken if (errand := await self._judge(one, around)) is not None]
        return [*found, *await self._removals(around)]

    async def _look_around(self, taken: Sequence[PushDelivery]) -> Around:
        devices = await PushDevice.among({one.device_id for one in taken})
        logins = {device.login_id for device in devices.values()}
        living = await self._logins.living(logins)
        if ended := logins - living.keys():
            await self._devices.forget_logins(list(ended))
        people = {one.user_id for one in taken if not one.taken_back}
        return Around(devices, living, await self._foreground.focused(people))

    async def _judge(self, one: PushDelivery, around: Around) -> Errand | None:
        device = around.devices.get(one.device_id)
        if device is None or device.user_id != one.user_id or device.login_id not in around.living:
            await Claims.removed(one)
        elif one.attempts > self._settings.attempts:
            await self.bury(one, "too_often")
        elif one.taken_back:
            await self._take_back(one, around)
        elif one.user_id in around.focused:
            await self._hold(one)
        else:
            return await self._alert(one, device)
        return None

    async def _alert(self, one: PushDelivery, device: PushDevice) -> Errand | None:
        try:
            content = json.loads(one.content or "")
            alert = Alert(key=one.key, tag=tag(one.key), expires_at=one.expires_at, **content)
        except (ValueError, TypeError):
            await self.bury(one, "broken")
            return None
        return Errand(device, alert, [one])

    async def _hold(self, one: PushDelivery) -> None:
        """Look again later: only a person who stays there for a while has certainly seen it."""
        taken_at = one.due_at.timestamp() - self._settings.lease
        age = taken_at - one.put_at.timestamp()
        if age < self._settings.hold:
            wait = min(max(1.0, age), self._settings.hold - age)
            await Claims.later(one, wait, reached=False, counts=False)
            return
        metrics.pushes.labels(one.platform, "seen").inc()
        await Claims.dropped(one)

    async def _take_back(self, one: PushDelivery, around: Around) -> None:
        if one.was_tried:
            around.removals.setdefault(one.device_id, []).append(one)
        else:
            await Claims.removed(one)

    async def _removals(self, around: Around) -> list[Errand]:
        """One push for each device, with everything else that is to be removed there."""
        if not around.removals:
            return []
        more = await Claims.take_removals(around.removals.keys(), MAX_REMOVED, self._settings.lease)
        for one in more:
            await self._take_back(one, around)
        return [
            _removal(around.devices[device_id], ones[start : start + MAX_REMOVED])
            for device_id, ones in around.removals.items()
            for start in range(0, len(ones), MAX_REMOVED)
        ]

    async def bury(self, one: PushDelivery, why: str, *, reached: bool = False) -> None:
        """Too many attempts, or the provider will never take it."""
        metrics.pushes.labels(one.platform, "dead").inc()
        await Claims.died(one, why, KEEP_DEAD, reached=reached)


def _removal(device: PushDevice, ones: list[PushDelivery]) -> Errand:
    keys = [one.key for one in ones]
    ends = min((one.expires_at for one in ones), default=now())
    return Errand(device, Removal(keys, [tag(key) for key in keys], ends), ones)
