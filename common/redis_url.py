"""Where Redis is: one server, a cluster, or whatever sentinels say, all as one URL.

`redis://`, `rediss://` (TLS) and `unix://` name one server. `redis+cluster://a:1,b:2` names some servers of a
cluster, `redis+sentinel://a:1,b:2/service` some sentinels; `rediss+…` is the same over TLS. The query takes
the options of redis-py (`?ssl_ca_certs=…`); sentinels that want a password get `sentinel_password`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from redis.asyncio.connection import SSLConnection, parse_url

PORT, SENTINEL_PORT = 6379, 26379

Kind = Literal["single", "cluster", "sentinel"]
_KINDS: Mapping[str, Kind] = {"": "single", "cluster": "cluster", "sentinel": "sentinel"}


@dataclass(frozen=True, slots=True)
class Login:
    """What a server wants to hear before it serves."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A parsed URL. `options` are those of redis-py's clients, without address and log-in."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    path: str | None
    """The socket file, for `unix://`."""
    service: str | None
    login: Login
    sentinel_login: Login
    tls: bool
    options: Mapping[str, Any]

    @classmethod
    def parse(cls, url: str) -> "RedisUrl":
        """Read a URL; raises `ValueError`, whose words contain nothing of it."""
        scheme, _, rest = url.partition("://")
        base, _, suffix = scheme.partition("+")
        kind = _KINDS.get(suffix)
        if kind is None or base not in ("redis", "rediss", "unix") or (base == "unix" and suffix):
            raise ValueError("not redis://, rediss:// or unix://, nor one of them with +cluster or +sentinel")
        if base == "unix":
            return _read(url, kind, (), None)
        authority, mark, tail = _cut(rest)
        userinfo, at, places = authority.rpartition("@")
        hosts = tuple(_host(place, kind) for place in places.split(","))
        if kind == "single" and len(hosts) > 1:
            raise ValueError("several hosts make a +cluster or a +sentinel")
        service = None
        if kind == "sentinel":
            service, tail = _service(tail if mark == "/" else "")
            mark = "/"
        return _read(f"{base}://{userinfo}{at}localhost{mark}{tail}", kind, hosts, service)

    def tls_context(self) -> SSLContext | None:
        """How to speak TLS, if at all."""
        if not self.tls:
            return None
        options = {name: value for name, value in self.options.items() if name.startswith("ssl_")}
        maker: Any = SSLConnection(**options).ssl_context  # partly untyped
        return cast("SSLContext", maker.get())


def _read(url: str, kind: Kind, hosts: tuple[tuple[str, int], ...], service: str | None) -> RedisUrl:
    values = cast("dict[str, Any]", parse_url(url))
    for name in ("host", "port"):
        values.pop(name, None)
    tls = values.pop("connection_class", None) is SSLConnection
    if kind == "cluster" and values.pop("db", 0):
        raise ValueError("a cluster has no numbered databases")
    path = values.pop("path", None)
    if not hosts and not path:
        raise ValueError("unix:// needs the path of a socket")
    login = Login(values.pop("username", None), values.pop("password", None))
    sentinel = Login(values.pop("sentinel_username", None), values.pop("sentinel_password", None))
    return RedisUrl(kind, hosts, path, service, login, sentinel, tls, values)


def _cut(rest: str) -> tuple[str, str, str]:
    """The authority, the character that ends it, and what follows."""
    ends = [place for place in (rest.find("/"), rest.find("?")) if place >= 0]
    end = min(ends, default=len(rest))
    return rest[:end], rest[end : end + 1], rest[end + 1 :]


def _host(place: str, kind: Kind) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("a port is a number up to 65535") from None
    if kind != "single" and not host:
        raise ValueError("every server is a host or host:port")
    return host or "localhost", port or (SENTINEL_PORT if kind == "sentinel" else PORT)


def _service(tail: str) -> tuple[str, str]:
    """The name of what the sentinels watch, and the rest: `service/db?options`."""
    path, mark, query = tail.partition("?")
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("sentinels need to be asked for a service: redis+sentinel://host:port/service")
    return service, f"{database}{mark}{query}"
