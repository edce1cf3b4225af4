"""A person's devices: each belongs to one log-in, and to whoever made it known last."""

from collections.abc import Sequence
from datetime import datetime

from common.clock import now
from common.errors import Invalid, NotFound, Unauthenticated
from common.ids import Id
from common.settings import Push as PushSettings
from documents.push import PushDelivery, PushDevice, WebKeys
from realtime.features.push.rules import endpoints
from realtime.features.push.schemas import DeviceIn, DeviceOut, Logins, Subscription, WebKeyOut
from realtime.gateway.session import Identity


class DeviceNotFound(NotFound):
    text = "There is no such device."


class NoWebPush(NotFound):
    text = "This server sends no pushes to browsers."


class DeviceService:
    """Registers devices and forgets them, at the latest when their log-in ends."""

    def __init__(self, settings: PushSettings, logins: Logins, web_key: str | None) -> None:
        self._settings, self._logins, self._web_key = settings, logins, web_key

    def web_key(self) -> WebKeyOut:
        """What browsers subscribe with; raises `NoWebPush`."""
        if self._web_key is None:
            raise NoWebPush
        return WebKeyOut(public_key=self._web_key)

    async def register(self, identity: Identity, body: DeviceIn) -> DeviceOut:
        """Make a device known. One that is known already becomes the caller's, whoever had it before."""
        token, keys = self._token_of(body)
        ends = (await self._logins.living([identity.login_id])).get(identity.login_id)
        if ends is None:
            raise Unauthenticated
        moment = now()
        device = PushDevice(
            id=PushDevice.id_of(body.platform, token),
            user_id=identity.user_id,
            login_id=identity.login_id,
            platform=body.platform,
            token=token,
            keys=keys,
            created_at=moment,
            seen_at=moment,
            expires_at=ends,
        )
        stored = await device.register()
        await PushDevice.keep_newest(identity.user_id, self._settings.devices_per_user)
        return _device_out(stored, identity.login_id)

    def _token_of(self, body: DeviceIn) -> tuple[str, WebKeys | None]:
        token = body.token
        if not isinstance(token, Subscription):
            return token, None
        web = self._settings.web
        if not endpoints.is_allowed(token.endpoint, web.allowed_hosts, any_port=web.private_addresses):
            raise Invalid.field("token.endpoint", "is no address of a push service known here")
        if not endpoints.are_keys(token.keys.p256dh, token.keys.auth):
            raise Invalid.field("token.keys", "are no keys of a push subscription")
        keys = WebKeys(p256dh=token.keys.p256dh, auth=token.keys.auth, server=self._web_key or "")
        return token.endpoint, keys

    async def list(self, identity: Identity) -> "list[DeviceOut]":
        """The caller's devices, the last seen first."""
        devices = await PushDevice.of_user(identity.user_id)
        living = await self._logins.living({device.login_id for device in devices})
        return [_device_out(device, identity.login_id) for device in devices if device.login_id in living]

    async def remove(self, user_id: Id, device_id: Id) -> None:
        """Send nothing to this device any more; raises `DeviceNotFound`."""
        if not await PushDevice.remove(device_id, user_id):
            raise DeviceNotFound
        await PushDelivery.forget_devices([device_id])

    async def end_with_logins(self, since: datetime) -> None:
        """Forget the devices of log-ins that have ended since then."""
        await self.forget_logins(await self._logins.recently_revoked(since))

    async def forget_logins(self, login_ids: Sequence[Id]) -> None:
        """Forget the devices of these log-ins."""
        gone = await PushDevice.ids_of_logins(login_ids)
        await PushDelivery.forget_devices(gone)
        await PushDevice.remove_of_logins(login_ids)


def _device_out(device: PushDevice, login_id: Id) -> DeviceOut:
    return DeviceOut(
        id=device.id,
        platform=device.platform,
        created_at=device.created_at,
        seen_at=device.seen_at,
        current=device.login_id == login_id,
    )
