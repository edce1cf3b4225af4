"""Cursors: where a list goes on, sealed so that nobody can make one up or use it for another list."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

import orjson

from common.errors import Invalid

TAG = 12


class BadCursor(Invalid):
    code, text = "bad_cursor", "That cursor does not belong to this list."


def encode_cursor(values: Sequence[str], kind: str, secret: bytes) -> str:
    """A cursor of the list `kind` that stands behind the row with these sort values."""
    data = orjson.dumps(list(values))
    return base64.urlsafe_b64encode(_tag(data, kind, secret) + data).rstrip(b"=").decode()


def decode_cursor(text: str, kind: str, secret: bytes) -> tuple[str, ...]:
    """The values sealed in a cursor; raises `BadCursor` for anything that is not a cursor of this list."""
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursor from None
    tag, data = sealed[:TAG], sealed[TAG:]
    if not hmac.compare_digest(tag, _tag(data, kind, secret)):
        raise BadCursor
    return tuple(orjson.loads(data))


def _tag(data: bytes, kind: str, secret: bytes) -> bytes:
    message = len(kind).to_bytes(4) + kind.encode() + data
    return hmac.digest(secret, message, hashlib.sha256)[:TAG]
