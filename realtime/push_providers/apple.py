"""Apple's push service: HTTP/2, and a provider token signed with the team's key."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from realtime.features.push.schemas import (
    Alert,
    Down,
    Gone,
    Later,
    Outcome,
    Parcel,
    Refused,
    Sent,
    Target,
)
from realtime.push_providers.answers import fields, retry_after, text
from realtime.push_providers.http2 import Answer, Http2, Interrupted, Unreachable

PRODUCTION, SANDBOX = "https://api.push.apple.com", "https://api.sandbox.push.apple.com"
RENEW_AFTER = 50 * 60
"""Seconds. Apple refuses tokens older than an hour, and more than one in twenty minutes."""
NOT_BEFORE = 20 * 60
DEVICE_GONE = ("BadDeviceToken", "Unregistered", "ExpiredToken")
NOT_LET_IN = (
    "BadCertificate",
    "BadCertificateEnvironment",
    "BadTopic",
    "ExpiredProviderToken",
    "Forbidden",
    "InvalidProviderToken",
    "MissingProviderToken",
    "MissingTopic",
    "TooManyProviderTokenUpdates",
    "TopicDisallowed",
)


@dataclass(frozen=True, slots=True)
class TeamKey:
    """What provider tokens are signed with."""

    key: EllipticCurvePrivateKey
    key_id: str
    team_id: str


class ProviderToken:
    """One token for everything, made anew before Apple finds it too old and never sooner than it allows."""

    def __init__(self, team: TeamKey) -> None:
        self._team = team
        self._token, self._made_at = "", 0.0

    def header(self) -> str:
        if not self._token or time.monotonic() - self._made_at > RENEW_AFTER:
            self._make()
        return f"bearer {self._token}"

    def renew(self) -> bool:
        """Apple finds it too old; False when it is too young to be made anew."""
        if time.monotonic() - self._made_at < NOT_BEFORE:
            return False
        self._make()
        return True

    def _make(self) -> None:
        claims = {"iss": self._team.team_id, "iat": int(time.time())}
        kid = {"kid": self._team.key_id}
        self._token = jwt.encode(claims, self._team.key, algorithm="ES256", headers=kid)
        self._made_at = time.monotonic()


class ApplePush:
    """Brings alerts and silent removals to iPhones."""

    def __init__(self, team: TeamKey, topic: str, url: str, context: SSLContext) -> None:
        self._provider, self._topic = ProviderToken(team), topic
        address = urlsplit(url)
        self.sole_origin: str | None = address.netloc
        self._http = Http2(address.hostname or "", address.port or 443, context)

    def origin(self, target: Target) -> str:
        return self.sole_origin or ""

    async def send(self, target: Target, parcel: Parcel) -> Outcome:
        headers, body = self._request(parcel)
        path = f"/3/device/{target.token}"
        try:
            answer = await self._post(path, headers, body)
            if _reason(answer) == "ExpiredProviderToken" and self._provider.renew():
                answer = await self._post(path, headers, body)
        except Unreachable:
            return Down("unreachable")
        except Interrupted as interruption:
            return Later("interrupted", reached=interruption.reached, wide=True)
        return _outcome(answer)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        named = [*headers.items(), ("authorization", self._provider.header())]
        return await self._http.post(path, named, body)

    def _request(self, parcel: Parcel) -> tuple[dict[str, str], bytes]:
        headers = {
            "apns-topic": self._topic,
            "apns-expiration": str(int(parcel.expires_at.timestamp())),
        }
        if isinstance(parcel, Alert):
            headers |= {"apns-push-type": "alert", "apns-priority": "10", "apns-collapse-id": parcel.tag}
        else:
            headers |= {"apns-push-type": "background", "apns-priority": "5"}
        return headers, json.dumps(_payload(parcel), ensure_ascii=False).encode()


def _payload(parcel: Parcel) -> dict[str, Any]:
    if not isinstance(parcel, Alert):
        aps = {"content-available": 1}
        return {"aps": aps, "type": "dismiss", "keys": list(parcel.keys), "tags": list(parcel.tags)}
    alert = {"title": parcel.title, "body": parcel.body}
    return {
        "aps": {"alert": alert, "badge": parcel.badge, "sound": "default", "thread-id": parcel.tag},
        "type": parcel.type,
        "key": parcel.key,
        "tag": parcel.tag,
        "notification_id": parcel.notification_id,
        "data": dict(parcel.data),
    }


def _reason(answer: Answer) -> str:
    return "" if answer.status == 200 else text(fields(answer.body).get("reason", ""))


def _outcome(answer: Answer) -> Outcome:
    reason = _reason(answer)
    why = f"{answer.status} {reason}".strip()
    wait = retry_after(answer.headers.get("retry-after"))
    match answer.status:
        case 200:
            return Sent()
        case 410:
            return Gone(_since(fields(answer.body).get("timestamp")))
        case 400 if reason in DEVICE_GONE:
            return Gone()
        case 400 | 401 | 403 | 429 if reason in NOT_LET_IN:
            return Down(why, wait)
        case 401 | 403:
            return Down(why, wait)
        case 429:
            return Later(why, wait)
        case status if status >= 500:
            return Later(why, wait, wide=True)
        case _:
            return Refused(why)


def _since(timestamp: object) -> datetime | None:
    """Milliseconds since 1970, as Apple says them."""
    if not isinstance(timestamp, int) or not 0 < timestamp < 10**14:
        return None
    return datetime.fromtimestamp(timestamp / 1000, UTC)
