"""Where a request comes from, when some of its hops are our own proxies."""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Request(Protocol):
    """As much of an HTTP request as is needed to find its origin."""

    @property
    def remote(self) -> str | None: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


def client_address(request: Request, trusted: Sequence[str]) -> str:
    """The address of the client: the last hop that is not one of the `trusted` proxies.

    `X-Forwarded-For` counts only as far as trusted proxies wrote it; anybody else could have made it up.
    """
    remote = request.remote or "unknown"
    if not trusted or not _is_trusted(remote, tuple(trusted)):
        return remote
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            break
        remote = hop
        if not _is_trusted(hop, tuple(trusted)):
            break
    return remote


@lru_cache(maxsize=4096)
def _is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in net for net in _networks(trusted))


@lru_cache(maxsize=16)
def _networks(trusted: tuple[str, ...]) -> list[Network]:
    return [ipaddress.ip_network(name, strict=False) for name in trusted]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
