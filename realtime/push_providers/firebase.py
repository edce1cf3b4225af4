"""Firebase Cloud Messaging, HTTP v1: a signed assertion buys an access token, used while it lasts."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import jwt

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
from realtime.push_providers.answers import fields, listed, named, retry_after, text
from realtime.push_providers.http import Http, Missed, Read

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = 3600
RENEW_BEFORE = 300.0
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who we are to Google."""

    email: str
    key: Any
    key_id: str
    project: str
    token_uri: str


class NoAccess(Exception):
    """Google gives no access token; carries what that means."""

    def __init__(self, down: Down) -> None:
        super().__init__(down.why)
        self.down = down


class Access:
    """The access token: bought once for everybody who waits for it."""

    def __init__(self, account: ServiceAccount, http: Http) -> None:
        self._account, self._http = account, http
        self._token, self._ends_at = "", 0.0
        self._buying = asyncio.Lock()

    async def token(self) -> str:
        """A token that lasts a while; raises `NoAccess`."""
        async with self._buying:
            if not self._token or time.monotonic() >= self._ends_at:
                await self._buy()
            return self._token

    def forget(self, token: str) -> None:
        """Google does not take this one any more."""
        if token == self._token:
            self._token = ""

    async def _buy(self) -> None:
        answer = await self._http.post(
            self._account.token_uri, {}, data={"grant_type": GRANT, "assertion": self._assertion()}
        )
        if isinstance(answer, Missed):
            raise NoAccess(Down(f"oauth {answer.why}"))
        found = fields(answer.body)
        token, lasts = found.get("access_token"), found.get("expires_in")
        if answer.status != 200 or not isinstance(token, str) or not isinstance(lasts, int):
            why = f"oauth {answer.status} {text(found.get('error', ''))}".strip()
            raise NoAccess(Down(why, retry_after(answer.headers.get("Retry-After"))))
        self._token, self._ends_at = token, time.monotonic() + max(1.0, lasts - RENEW_BEFORE)

    def _assertion(self) -> str:
        at = int(time.time())
        claims = {
            "iss": self._account.email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": at,
            "exp": at + LIFETIME,
        }
        headers = {"kid": self._account.key_id}
        return jwt.encode(claims, self._account.key, algorithm="RS256", headers=headers)


class FirebasePush:
    """Brings alerts and silent removals to Android."""

    def __init__(self, account: ServiceAccount, url: str, http: Http) -> None:
        self._http, self._access = http, Access(account, http)
        self.sole_origin: str | None = urlsplit(url).netloc
        self._address = f"{url.rstrip('/')}/v1/projects/{quote(account.project, safe='')}/messages:send"

    def origin(self, target: Target) -> str:
        return self.sole_origin or ""

    async def send(self, target: Target, parcel: Parcel) -> Outcome:
        body = json.dumps({"message": _message(target, parcel)}, ensure_ascii=False).encode()
        try:
            answer = await self._post(body)
            if isinstance(answer, Read) and answer.status == 401:  # revoked before its time
                answer = await self._post(body)
        except NoAccess as refusal:
            return refusal.down
        return answer.outcome if isinstance(answer, Missed) else _outcome(answer)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, body: bytes) -> "Read | Missed":
        token = await self._access.token()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = await self._http.post(self._address, headers, data=body)
        if isinstance(answer, Read) and answer.status == 401:
            self._access.forget(token)
        return answer


def _message(target: Target, parcel: Parcel) -> dict[str, Any]:
    seconds = max(0, int(parcel.expires_at.timestamp() - time.time()))
    if not isinstance(parcel, Alert):
        data = {
            "type": "dismiss",
            "keys": json.dumps(list(parcel.keys)),
            "tags": json.dumps(list(parcel.tags)),
        }
        return {"token": target.token, "data": data, "android": {"priority": "NORMAL", "ttl": f"{seconds}s"}}
    return {
        "token": target.token,
        "notification": {"title": parcel.title, "body": parcel.body},
        "data": {
            "type": parcel.type,
            "key": parcel.key,
            "tag": parcel.tag,
            "notification_id": parcel.notification_id,
            "data": json.dumps(dict(parcel.data), ensure_ascii=False),
        },
        "android": {
            "collapse_key": parcel.tag,
            "priority": "HIGH",
            "ttl": f"{seconds}s",
            "notification": {"tag": parcel.tag, "notification_count": parcel.badge},
        },
    }


def _outcome(answer: Read) -> Outcome:
    if answer.status == 200:
        return Sent()
    code, names = _code(named(fields(answer.body).get("error")))
    why, wait = f"{answer.status} {code}".strip(), retry_after(answer.headers.get("Retry-After"))
    match answer.status:
        case 404 if code == "UNREGISTERED":
            return Gone()
        case 400 if code == "INVALID_ARGUMENT" and "message.token" in names:
            return Gone()
        case 403 if code == "SENDER_ID_MISMATCH":
            return Refused(why)
        case 401 | 403:
            return Down(why, wait)
        case 429:
            return Later(why, wait if wait is not None else 60.0, wide=True)
        case status if status >= 500:
            return Later(why, wait, wide=True)
        case _:
            return Refused(why)


def _code(error: dict[str, Any]) -> tuple[str, set[str]]:
    """What went wrong in Firebase's words, and the fields at fault."""
    code, names = error.get("status", ""), set[str]()
    for detail in listed(error.get("details")):
        if detail.get("@type") == FCM_ERROR:
            code = detail.get("errorCode", code)
        names.update(str(violation.get("field")) for violation in listed(detail.get("fieldViolations")))
    return text(code), names
