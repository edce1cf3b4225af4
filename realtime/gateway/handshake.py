"""The opening handshake of a WebSocket (RFC 6455, section 4.2), as a request of aiohttp's."""

import base64
import binascii
import hashlib
from collections.abc import Iterable

from aiohttp import web

_WEBSOCKET_ID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16


def handshake_refusal(request: web.Request) -> web.Response | None:
    """What is wrong with an opening handshake (RFC 6455, section 4.2.1), if anything is."""
    headers = request.headers
    if request.method != "GET" or request.version < (1, 1):
        return refusal("A WebSocket begins with GET over HTTP/1.1")
    if "upgrade" not in _words(headers.getall("Connection", ())):
        return refusal("The Connection header does not name the upgrade")
    if headers.get("Sec-WebSocket-Version") != "13":
        return refusal("Unsupported WebSocket version", 426, {"Sec-WebSocket-Version": "13"})
    try:
        key = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return None if len(key) == _KEY_BYTES else refusal("The Sec-WebSocket-Key is not one")


def is_upgrade(request: web.Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return "websocket" in _words(request.headers.getall("Upgrade", ()))


def _words(values: Iterable[str]) -> list[str]:
    return [word.strip().lower() for value in values for word in value.split(",")]


def refusal(why: str, status: int = 400, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(why, status=status, headers=headers)


def switching(key: str) -> bytes:
    """The head that ends HTTP on a connection (RFC 6455, section 4.2.2); no extension is accepted."""
    proof = base64.b64encode(hashlib.sha1(key.encode() + _WEBSOCKET_ID, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
