"""redis-py's client for what a URL names. It fails fast: whoever uses it has something to fall back on."""

from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from common.redis_url import Login, RedisUrl

CONNECT, ANSWER = 2.0, 3.0
CONNECTIONS = 50


def redis_client(url: RedisUrl) -> Redis:
    """A client; connects when it is first used. A cluster's speaks the same commands as any other."""
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT,
        "socket_timeout": ANSWER,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": CONNECTIONS,
        **url.options,
        **_login(url.login),
    }
    if url.tls and url.kind != "single":
        options["ssl"] = True
    match url.kind:
        case "single":
            return _single(url, options)
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in url.hosts]
            return cast("Redis", RedisCluster(startup_nodes=nodes, **options))
        case "sentinel":
            return _sentinel(url, options)


def _single(url: RedisUrl, options: dict[str, Any]) -> Redis:
    make: Any = Redis  # its constructor is partly untyped
    if url.path is not None:
        return make(unix_socket_path=url.path, **options)
    host, port = url.hosts[0]
    return make(host=host, port=port, ssl=url.tls, **options)


def _sentinel(url: RedisUrl, options: dict[str, Any]) -> Redis:
    make: Any = Sentinel
    asking = {"socket_connect_timeout": CONNECT, "socket_timeout": CONNECT, **_login(url.sentinel_login)}
    if url.tls:
        asking |= {name: value for name, value in options.items() if name.startswith("ssl")}
    return make(url.hosts, sentinel_kwargs=asking, **options).master_for(url.service)


def _login(login: Login) -> dict[str, str]:
    found = {"username": login.username, "password": login.password}
    return {name: value for name, value in found.items() if value is not None}
