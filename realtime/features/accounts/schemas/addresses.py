"""Addresses that people give us: links for others to follow, and pictures, which are media of ours."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from common.ids import UUID_PATTERN
from realtime.features.accounts.schemas import words

_LINK = re.compile(r"https?://[^\s\"'<>\\\x00-\x1f/][^\s\"'<>\\\x00-\x1f]*")
_LONGEST = 300
_ID = UUID_PATTERN.strip("^$")
_MEDIUM = re.compile(
    rf"/api/media/{_ID}(\.[a-z0-9]{{1,5}})?(\?variant=[a-z]{{1,20}})?|/api/user_image/{_ID}/serve/?"
)


def shown_link(text: str) -> str:
    """`text` as a link; raises `ValueError` for one that hides where it leads, or leads to nowhere public."""
    link = words.line(text, _LONGEST)
    if link and not (_LINK.fullmatch(link) and _leads_somewhere(link)):
        raise ValueError("is an http or https address")
    return link


def medium(text: str, origins: Sequence[str]) -> str | None:
    """The path of a medium of ours that an address names, with or without one of our origins before it."""
    for origin in origins:
        if text.startswith(f"{origin}/"):
            text = text.removeprefix(origin)
            break
    return text if _MEDIUM.fullmatch(text) else None


def _leads_somewhere(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return bool(host) and not _has_user(parts) and _is_public(host)


def _has_user(parts: SplitResult) -> bool:
    """`https://bank.example@evil.example` leads to evil.example."""
    return "@" in parts.netloc


def _is_public(host: str) -> bool:
    host = host.rstrip(".")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or host.startswith("0x"):
        return False
    try:
        found = ip_address(host)
    except ValueError:
        return not host.replace(".", "").isdigit()
    mapped = getattr(found, "ipv4_mapped", None) or found
    return bool(mapped.is_global)
