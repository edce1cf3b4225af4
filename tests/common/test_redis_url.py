"""Every way to name a Redis, and what is said about those that name none."""

import pytest
from pydantic import ValidationError

from common.redis_url import Login, RedisUrl
from common.settings import Settings


def test_one_server() -> None:
    url = RedisUrl.parse("redis://ann:p%40ss@redis.example:7000/3?socket_timeout=1.5")

    assert (url.kind, url.hosts, url.tls) == ("single", (("redis.example", 7000),), False)
    assert url.login == Login("ann", "p@ss")
    assert url.options == {"db": 3, "socket_timeout": 1.5}


def test_what_is_left_out_has_a_default() -> None:
    assert RedisUrl.parse("redis://").hosts == (("localhost", 6379),)
    assert RedisUrl.parse("redis+sentinel://a/main").hosts == (("a", 26379),)
    assert RedisUrl.parse("redis://:secret@h").login == Login(None, "secret")


def test_a_cluster_is_known_by_some_of_its_members() -> None:
    url = RedisUrl.parse("rediss+cluster://ann:secret@a,b:7000,[::1]:7001/?ssl_ca_certs=ca.pem")

    assert (url.kind, url.tls) == ("cluster", True)
    assert url.hosts == (("a", 6379), ("b", 7000), ("::1", 7001))
    assert url.login == Login("ann", "secret")
    assert url.options == {"ssl_ca_certs": "ca.pem"}


def test_sentinels_have_a_password_of_their_own() -> None:
    url = RedisUrl.parse("redis+sentinel://:secret@a:1,b:2/main/4?sentinel_password=other")

    assert (url.kind, url.service, url.hosts) == ("sentinel", "main", (("a", 1), ("b", 2)))
    assert (url.login.password, url.sentinel_login.password) == ("secret", "other")
    assert url.options == {"db": 4}


def test_a_socket_file() -> None:
    url = RedisUrl.parse("unix://ann:secret@/run/valkey.sock?db=2")

    assert (url.path, url.hosts, url.login, url.options) == (
        "/run/valkey.sock",
        (),
        Login("ann", "secret"),
        {"db": 2},
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:6379",
        "http://:secret@localhost",
        "redis+other://:secret@localhost",
        "unix+cluster://:secret@/tmp/a",
        "unix://",
        "redis://:secret@a,b",
        "redis://:secret@a:port",
        "redis+cluster://:secret@a,,b",
        "redis+cluster://:secret@a:99999999",
        "redis+cluster://:secret@a/2",
        "redis+sentinel://:secret@a:1",
        "redis+sentinel://:secret@a:1/",
        "redis://:secret@a?socket_timeout=soon",
    ],
)
def test_what_names_no_redis_is_refused_at_start_without_its_secret(text: str) -> None:
    with pytest.raises(ValidationError, match="redis_url") as refused:
        Settings.model_validate({"_env_file": None, "redis_url": text})

    assert "secret" not in str(refused.value)
    assert "secret" not in repr(RedisUrl.parse("redis://:secret@a"))
