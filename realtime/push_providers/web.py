# pywebpush has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Web Push: messages encrypted for one browser, brought by the push service that the browser has named."""

import json
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pywebpush import WebPusher, WebPushException

from realtime.features.push.rules.endpoints import is_allowed
from realtime.features.push.schemas import (
    Alert,
    Gone,
    Later,
    Outcome,
    Parcel,
    Refused,
    Sent,
    Target,
)
from realtime.push_providers.answers import retry_after
from realtime.push_providers.http import Http, Missed

VAPID_LIFETIME = 12 * 3600
VAPID_RENEWED = 6 * 3600.0
MAX_ORIGINS = 200
"""Push services whose authorization is remembered."""
MAX_TTL = 28 * 86_400


class Vapid:
    """Says to each push service who we are; a signature is used for hours."""

    def __init__(self, key: EllipticCurvePrivateKey, contact: str) -> None:
        self._key, self._contact = key, contact
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = urlsafe_b64encode(point).rstrip(b"=").decode()
        self._made: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def header(self, origin: str) -> str:
        known, made_at = self._made.get(origin, ("", 0.0))
        if known and time.monotonic() - made_at < VAPID_RENEWED:
            return known
        claims = {"aud": origin, "sub": self._contact, "exp": int(time.time()) + VAPID_LIFETIME}
        signed = jwt.encode(claims, self._key, algorithm="ES256")
        header = f"vapid t={signed}, k={self.public_key}"
        self._made[origin] = (header, time.monotonic())
        while len(self._made) > MAX_ORIGINS:
            self._made.popitem(last=False)
        return header


class BrowserPush:
    """Brings messages to browsers, each by its own push service."""

    sole_origin: str | None = None

    def __init__(self, vapid: Vapid, hosts: Sequence[str], http: Http, *, any_port: bool) -> None:
        self._vapid, self._hosts, self._http, self._any_port = vapid, hosts, http, any_port

    def origin(self, target: Target) -> str:
        return urlsplit(target.token).netloc

    async def send(self, target: Target, parcel: Parcel) -> Outcome:
        if not is_allowed(target.token, self._hosts, any_port=self._any_port):
            return Refused("address")
        keys = {"p256dh": target.p256dh, "auth": target.auth}
        text = json.dumps(_payload(parcel), ensure_ascii=False).encode()
        try:
            body = WebPusher({"endpoint": target.token, "keys": keys}).encode(text, "aes128gcm")["body"]
        except (WebPushException, ValueError):
            return Refused("keys")
        answer = await self._http.post(target.token, self._headers(target, parcel), data=bytes(body))
        if isinstance(answer, Missed):
            return answer.outcome
        return _outcome(answer.status, retry_after(answer.headers.get("Retry-After")))

    async def close(self) -> None:
        await self._http.close()

    def _headers(self, target: Target, parcel: Parcel) -> dict[str, str]:
        address = urlsplit(target.token)
        seconds = min(MAX_TTL, max(0, int(parcel.expires_at.timestamp() - time.time())))
        headers = {
            "Authorization": self._vapid.header(f"{address.scheme}://{address.netloc}"),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(seconds),
            "Urgency": "high" if isinstance(parcel, Alert) else "normal",
        }
        return {**headers, "Topic": parcel.tag} if isinstance(parcel, Alert) else headers


def _payload(parcel: Parcel) -> dict[str, Any]:
    if not isinstance(parcel, Alert):
        return {"type": "dismiss", "keys": list(parcel.keys), "tags": list(parcel.tags)}
    return {
        "type": parcel.type,
        "key": parcel.key,
        "tag": parcel.tag,
        "notification_id": parcel.notification_id,
        "title": parcel.title,
        "body": parcel.body,
        "data": dict(parcel.data),
        "badge": parcel.badge,
    }


def _outcome(status: int, wait: float | None) -> Outcome:
    """What an answer means. 403 may mean a subscription that was made for another key: it is no outage."""
    match status:
        case 200 | 201 | 202 | 204:
            return Sent()
        case 404 | 410:
            return Gone()
        case 429:
            return Later("429", wait)
        case _ if status >= 500:
            return Later(str(status), wait, wide=True)
        case _:
            return Refused(str(status))
