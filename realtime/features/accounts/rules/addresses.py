"""Network addresses, as far as they tell one visitor from another."""

import ipaddress

_NETWORK_BITS = 64


def place(address: str) -> str:
    """An IPv4 address, or the network that one household has of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _NETWORK_BITS), strict=False).network_address)
