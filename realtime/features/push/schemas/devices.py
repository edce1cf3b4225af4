"""Devices on the wire: how a phone or a browser makes itself known, and what it says of itself."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator

from common.ids import Id
from realtime.channels import Wire

Platform = Literal["ios", "android", "web"]

MAX_TOKEN = 4096
_APNS_TOKEN = re.compile(r"[0-9a-f]{64,200}")
_FCM_TOKEN = re.compile(r"[A-Za-z0-9_:-]{20,4096}")

Base64Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+={0,2}$", max_length=128)]


class SubscriptionKeys(Wire):
    """What a browser's messages are encrypted with."""

    p256dh: Base64Url = Field(alias="p256dh")
    auth: Base64Url


class Subscription(Wire):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: str = Field(min_length=1, max_length=2048)
    expiration_time: float | None = None
    keys: SubscriptionKeys


class DeviceIn(Wire):
    """A device that wants pushes.

    `token` is the APNs device token in hex, the FCM registration token, or a browser's push subscription, as
    an object or as the JSON of one.
    """

    platform: Platform
    token: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)] | Subscription

    @field_validator("token")
    @classmethod
    def _fits_the_platform(cls, token: str | Subscription, info: ValidationInfo) -> str | Subscription:
        match info.data.get("platform"), token:
            case "ios", str() if _APNS_TOKEN.fullmatch(token.lower()) and len(token) % 2 == 0:
                return token.lower()
            case "android", str() if _FCM_TOKEN.fullmatch(token):
                return token
            case "web", Subscription():
                return token
            case "web", str():
                return _subscription(token)
            case _:
                raise ValueError("is no token of this platform")


class DeviceOut(Wire):
    """A device that takes pushes. `current`: it belongs to the log-in that asks."""

    id: Id
    platform: Platform
    created_at: datetime
    seen_at: datetime
    current: bool


class WebKeyOut(Wire):
    """What a browser subscribes with: `applicationServerKey`, base64url."""

    public_key: str


class AppStateIn(Wire):
    """Whether somebody is looking at the app behind this connection."""

    state: Literal["foreground", "background"]


class AppStateOut(Wire):
    """What the server takes this connection to be now."""

    state: Literal["foreground", "background"]


def _subscription(text: str) -> Subscription:
    try:
        return Subscription.model_validate_json(text)
    except ValidationError:
        raise ValueError("is no push subscription") from None
