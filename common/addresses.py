"""Where a request comes from, when some of its hops are our own proxies."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_VISITOR_BITS = 64


def client_address(remote: str | None, forwarded: Iterable[str], trusted: Sequence[str]) -> str:
    """The address of the client: the last hop that is not one of the `trusted` proxies.

    `forwarded` are all `X-Forwarded-For` headers in order. They count only as far as trusted proxies wrote
    them; anybody else could have made them up.
    """
    client = remote or "unknown"
    if not trusted or not _is_trusted(client, tuple(trusted)):
        return client
    hops = [hop.strip() for hop in ",".join(forwarded).split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            break
        client = hop
        if not _is_trusted(hop, tuple(trusted)):
            break
    return client


@lru_cache(maxsize=16_384)
def network_of(address: str) -> str:
    """What one visitor has of the address space: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _VISITOR_BITS), strict=False))


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
