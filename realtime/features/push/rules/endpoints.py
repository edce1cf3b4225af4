"""Which subscriptions of browsers are taken: whoever names an address makes us send requests to it."""

import binascii
import ipaddress
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

_AUTH_BYTES = 16


def is_allowed(endpoint: str, hosts: Sequence[str], *, any_port: bool = False) -> bool:
    """Whether this is an https address of one of `hosts`: names, or `*.` and what a name ends with, or `*`.

    Addresses in figures are refused in any spelling, but where `hosts` names them.
    """
    if not endpoint.isascii() or any(char <= " " or char in '\\"<>^`{|}' for char in endpoint):
        return False
    try:
        parts = urlsplit(endpoint)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or parts.username is not None or parts.password is not None:
        return False
    if "#" in endpoint or not (any_port or port in (None, 443)):
        return False
    if host in hosts:
        return True
    return not _is_figures(host) and any(_fits(host, pattern) for pattern in hosts)


def are_keys(p256dh: str, auth: str) -> bool:
    """Whether these are a point on the curve and a secret, as RFC 8291 has them."""
    try:
        point, secret = _bytes(p256dh), _bytes(auth)
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except (ValueError, binascii.Error):
        return False
    return len(point) == 65 and len(secret) == _AUTH_BYTES


def _fits(host: str, pattern: str) -> bool:
    if pattern == "*":
        return "." in host
    return pattern.startswith("*.") and host.endswith(pattern[1:]) and len(host) >= len(pattern)


def _is_figures(host: str) -> bool:
    """An IP address, also as one number, in octal or in hex: a name's last label is never a number."""
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or not last or last[0].isdigit():
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
