"""The client for providers that speak HTTP/1.1: a bounded pool of connections, no redirects."""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLContext

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from realtime.features.push.schemas import Down, Later, Outcome, Refused

MAX_ANSWER = 65_536
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 60.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Read:
    """An answer, read to its end or to as much as we care for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Missed:
    """There was no answer; what that means for what was sent."""

    outcome: Outcome

    @property
    def why(self) -> str:
        return getattr(self.outcome, "why", "")


class Http:
    """Opens its connections on first use, on the loop that uses it."""

    def __init__(self, context: SSLContext, connections: int, *, public_only: bool = False) -> None:
        self._context, self._connections, self._public_only = context, connections, public_only
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: str, headers: Mapping[str, str], *, data: bytes | Mapping[str, str]
    ) -> Read | Missed:
        """Send and read the answer; whoever calls has a deadline."""
        try:
            async with self._opened().post(url, headers=headers, data=data, allow_redirects=False) as answer:
                return Read(answer.status, answer.headers, await answer.content.read(MAX_ANSWER))
        except aiohttp.InvalidURL:
            return Missed(Refused("address"))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Missed(Down("unreachable"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Missed(Later(f"interrupted {type(error).__name__}", reached=True, wide=True))

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._context,
                limit=self._connections,
                keepalive_timeout=IDLE_SECONDS,
                resolver=PublicResolver() if self._public_only else None,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            )
        return self._session


class NotPublic(OSError):
    """A name that leads to an address which is nobody's business from here."""


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses those that lead to any address that is not public."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(result["host"]) for result in found):
            raise NotPublic
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Whether this is an address on the internet, also behind the ways in which IPv6 writes those of IPv4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        parsed = inner or parsed
    return parsed.is_global and not parsed.is_multicast
