"""Tokens: signed ones for access, opaque ones for refreshing a session and for resetting a password.

Opaque tokens begin with what they are, so that a leaked one can be recognised; only their SHA-256 is stored.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import jwt
import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from common.errors import Unauthenticated
from common.ids import Id, new_id

ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "plaza"
AUDIENCE = "plaza"
CLOCK_SKEW = 60
"""Seconds by which another node's clock may be ahead when it issues a token."""

MAX_TOKEN = 6144
SHORTEST_SECRET = 32
"""Bytes that a key for HS256 has at least (RFC 7518, section 3.2)."""
REMEMBERED = 4096
"""Signatures found good that are not computed again; what time says is asked each time."""

_pyjwt: Any = jwt  # its types name a package for other algorithms, which is not installed

_SIGNED = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_OPAQUE = re.compile(r"pl[rpa]_[A-Za-z0-9_-]{43}")
_RESTORE = re.compile(r"pls_([0-9a-f-]{36})\.(\d{1,15})\.(\d{1,12})\.([A-Za-z0-9_-]{43})")

Kind = Literal["plr_", "plp_", "pla_"]
REFRESH: Kind = "plr_"
RESET: Kind = "plp_"
APPEAL: Kind = "pla_"


class InvalidToken(Unauthenticated):
    code, text = "invalid_token", "This token is not valid."


class TokenExpired(Unauthenticated):
    code, text = "token_expired", "The access token has expired. Refresh it."


class WrongTokenType(Unauthenticated):
    code, text = "wrong_token_type", "This is a token of another kind."


class _Header(BaseModel):
    """What stands in front of our tokens, and nothing else: no `kid`, `jku`, `jwk` or `crit`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    alg: Literal["HS256"]
    typ: Literal["at+jwt"]


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    sub: Id
    sid: Id
    username: str
    email: str | None = None
    iat: int
    exp: int
    jti: Id
    iss: Literal["plaza"]
    aud: Literal["plaza"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says. Roles are never in it."""

    user_id: Id
    login_id: Id
    expires_at: int


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an access token is made out to."""

    user_id: Id
    login_id: Id
    username: str
    email: str | None = None


class AccessTokens:
    """Signs and reads access tokens."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._verified = lru_cache(REMEMBERED)(self._verify)
        self._header = _encoded(json.dumps({"alg": ALGORITHM, "typ": TYPE}, separators=(",", ":")).encode())

    def issue(self, subject: Subject, issued_at: int, lifetime: int, token_id: Id | None = None) -> str:
        """A signed token; the same arguments give the same token."""
        payload: dict[str, Any] = {
            "sub": subject.user_id,
            "sid": subject.login_id,
            "username": subject.username,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": token_id or new_id(),
            "iss": ISSUER,
            "aud": AUDIENCE,
        }
        if subject.email is not None:
            payload["email"] = subject.email
        return _pyjwt.encode(payload, self._secret, ALGORITHM, headers={"typ": TYPE})

    def read(self, token: str, *, even_expired: bool = False) -> Claims:
        """Check everything about a token; raises `InvalidToken`, `WrongTokenType` or `TokenExpired`."""
        if _OPAQUE.fullmatch(token):
            raise WrongTokenType
        payload = self._verified(token)
        current = time.time()
        if payload.iat > current + CLOCK_SKEW or payload.exp <= payload.iat:
            raise InvalidToken
        if payload.exp <= current and not even_expired:
            raise TokenExpired
        return Claims(payload.sub, payload.sid, payload.exp)

    def _verify(self, token: str) -> _Payload:
        """The payload behind a good signature (HS256: RFC 7515, appendix A.1, and no other)."""
        if len(self._secret) < SHORTEST_SECRET or len(token) > MAX_TOKEN or not _SIGNED.fullmatch(token):
            raise InvalidToken
        header, payload, signature = token.split(".")
        signed = token[: -len(signature) - 1].encode()
        try:
            if not hmac.compare_digest(_encoded(hmac.digest(self._secret, signed, "sha256")), signature):
                raise InvalidToken
            if header != self._header:  # what stands in front of ours needs no second look
                _Header.model_validate(_object(header))
            return _Payload.model_validate(_object(payload))
        except (ValidationError, ValueError, RecursionError):
            raise InvalidToken from None


def _object(segment: str) -> dict[str, Any]:
    """A segment's JSON object; a name that stands twice is refused."""
    content = _decoded(segment)
    plain: Any = orjson.loads(content)
    if isinstance(plain, dict) and orjson.dumps(plain) == content:  # as we write it: each name stands once
        return cast("dict[str, Any]", plain)
    found = _JSON.decode(content.decode())
    return _OBJECT.validate_python(found)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


_STANDARD = bytes.maketrans(b"-_", b"+/")
_OBJECT = TypeAdapter(dict[str, Any])
_JSON = json.JSONDecoder(object_pairs_hook=_once_each)


def _decoded(segment: str) -> bytes:
    return binascii.a2b_base64((segment + "=" * (-len(segment) % 4)).encode().translate(_STANDARD))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def new_token(kind: Kind) -> str:
    """A fresh opaque token of 256 random bits."""
    return kind + secrets.token_urlsafe(32)


def require_kind(kind: Kind, token: str) -> None:
    """Refuse what is not an opaque token of this kind."""
    if _OPAQUE.fullmatch(token):
        if not token.startswith(kind):
            raise WrongTokenType
    elif _SIGNED.fullmatch(token):
        raise WrongTokenType
    else:
        raise InvalidToken


def digest(token: str) -> str:
    """What is stored of an opaque token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Restoration:
    """Whose account is not to be deleted after all: out of the deletion that is due at that millisecond."""

    user_id: Id
    due_ms: int


class RestoreTokens:
    """Signed tokens by which somebody takes the deletion of their account back; nothing of them is stored."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"plaza: taking a deletion back", "sha256")

    def issue(self, wanted: Restoration, lifetime: int) -> str:
        """A token that is good for this deletion, for `lifetime` seconds."""
        content = f"{wanted.user_id}.{wanted.due_ms}.{int(time.time()) + lifetime}"
        return f"pls_{content}.{self._seal(content)}"

    def read(self, token: str) -> Restoration:
        """What a token is good for; raises `InvalidToken`."""
        match = _RESTORE.fullmatch(token)
        if match is None:
            raise InvalidToken
        user_id, due, expires, seal = match.groups()
        if not hmac.compare_digest(self._seal(f"{user_id}.{due}.{expires}"), seal):
            raise InvalidToken
        if int(expires) <= time.time():
            raise InvalidToken
        return Restoration(user_id, int(due))

    def _seal(self, content: str) -> str:
        return _encoded(hmac.digest(self._key, content.encode(), "sha256"))


class Succession:
    """Names the one token that follows a refresh token, so that it need not be stored to be said twice."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"plaza: succession of refresh tokens", "sha256")

    def after(self, token: str) -> str:
        """The successor of a refresh token."""
        return REFRESH + _encoded(hmac.digest(self._key, token.encode(), "sha256"))


class AppealTokens:
    """Lets somebody who cannot log in speak about what was done to them: once for each of `number`.

    A token is the id of what it is about and 128 bits of HMAC, so that it need not be stored.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"plaza: appeals", "sha256")

    def issue(self, about: Id, number: int) -> str:
        """The token for the appeal of that number; the same arguments give the same token."""
        subject = uuid.UUID(about).bytes
        return APPEAL + _encoded(subject + self._seal(subject, number))

    def subject(self, token: str) -> Id:
        """What a token is about, if it is one; raises `InvalidToken` or `WrongTokenType`."""
        require_kind(APPEAL, token)
        return str(uuid.UUID(bytes=_decoded(token.removeprefix(APPEAL))[:16]))

    def fits(self, token: str, number: int) -> bool:
        """Whether it is the token of that number."""
        found = _decoded(token.removeprefix(APPEAL))
        return hmac.compare_digest(found[16:], self._seal(found[:16], number))

    def _seal(self, subject: bytes, number: int) -> bytes:
        return hmac.digest(self._key, subject + number.to_bytes(4), "sha256")[:16]
