"""What a node says of itself, to everyone and to its operator."""

import os
import re
import signal
import tomllib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.engines import Engines
from common.version import VERSION
from realtime.features.accounts.schemas.admin import AdminIn
from tests.clients import Http, Person, eventually
from tests.conftest import MakeSettings, Node, StartNode
from tests.raw_http import say

OPERATOR = "the operator's own token, long enough"
PRODUCTION = {"environment": "production", "accounts": {"bcrypt_cost": 12}}


@pytest.fixture
async def http(plaza: Node) -> AsyncIterator[Http]:
    async with Http(plaza.url) as client:
        yield client


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8"))

    assert project["project"]["version"] == VERSION


async def test_the_front_door_says_what_this_is(http: Http) -> None:
    reply = await http.get("/")

    assert reply.data == {
        "name": "Plaza",
        "version": VERSION,
        "docs": "/docs",
        "realtime_docs": "/docs/realtime",
    }


async def test_health_tells_everyone_statuses_and_nothing_more(http: Http, ann: Person) -> None:
    for client in (http, ann.http):
        reply = await client.get("/health")
        assert (reply.status, reply.data["status"], reply.data["version"]) == (200, "ok", VERSION)
        assert reply.data["environment"] == "test"
        assert reply.data["timestamp"].endswith("Z")
        assert reply.data["checks"] == {
            "database": {"status": "ok"},
            "redis": {"status": "off"},
            "storage": {"status": "ok"},
            "memory": {"status": "ok"},
            "uptime": {"status": "ok"},
        }
        assert reply.body["status"] == "ok"


async def test_health_tells_administrators_figures(plaza: Node, http: Http) -> None:
    name, password = f"boss{uuid.uuid4().hex[:8]}", "a password for the boss"
    await plaza.services.accounts.create_admin(AdminIn(username=name, password=password))
    token = (await http.post("/api/auth/login", {"username": name, "password": password})).body["token"]

    checks = (await Http(plaza.url, token).get("/health")).data["checks"]

    assert checks["database"]["ms"] >= 0
    assert checks["storage"]["free_bytes"] > 0
    assert checks["memory"]["rss_bytes"] > 1_000_000
    assert checks["uptime"]["seconds"] >= 0


async def test_health_knows_of_redis(two_nodes: tuple[Node, Node]) -> None:
    reply = await Http(two_nodes[0].url).get("/health")

    assert reply.data["checks"]["redis"] == {"status": "ok"}


async def test_a_node_is_ready_until_it_drains(start_node: StartNode, make_settings: MakeSettings) -> None:
    node = await start_node(make_settings())
    async with Http(node.url) as http:
        assert (await http.get("/readyz")).body["status"] == "ok"

        node.services.health.draining = True
        reply = await http.get("/readyz")

        assert (reply.status, reply.code, reply.body["detail"]) == (503, "not_ready", {"because": "draining"})
        assert reply.headers["Retry-After"] == "1"
        assert (await http.get("/livez")).status == 200


async def test_a_node_whose_bus_is_deaf_is_not_ready(
    tmp_path: Path, start_node: StartNode, make_settings: MakeSettings
) -> None:
    async with Engines(tmp_path, mongo=False, redis=True) as engines:
        node = await start_node(make_settings(redis_url=engines.redis_url))
        async with Http(node.url) as http:

            async def is_ready() -> bool:
                return (await http.get("/readyz")).status == 200

            async def is_deaf() -> bool:
                reply = await http.get("/readyz")
                return reply.status == 503 and reply.body["detail"] == {"because": "bus"}

            await eventually(is_ready)
            os.kill(engines.redis_pid, signal.SIGSTOP)
            try:
                await eventually(is_deaf, 10)
                assert (await http.get("/health")).data["checks"]["redis"] == {"status": "down"}
                assert (await http.get("/health")).data["status"] == "degraded"
            finally:
                os.kill(engines.redis_pid, signal.SIGCONT)
            await eventually(is_ready, 15)


async def test_without_its_database_a_node_lives_but_is_neither_ready_nor_healthy(
    engines: Engines, plaza: Node, http: Http
) -> None:
    os.kill(engines.mongo_pid, signal.SIGSTOP)
    try:
        assert (await http.get("/livez")).status == 200
        ready, health = await http.get("/readyz"), await http.get("/health")
        assert (ready.status, ready.body["detail"]) == (503, {"because": "database"})
        assert (health.status, health.code) == (503, "unhealthy")
        assert health.body["detail"]["checks"]["database"] == {"status": "down"}
    finally:
        os.kill(engines.mongo_pid, signal.SIGCONT)

    async def is_ready() -> bool:
        return (await http.get("/readyz")).status == 200

    await eventually(is_ready, 10)


async def test_info_says_what_clients_can_rely_on(http: Http) -> None:
    info = (await http.get("/info")).data

    assert info["version"] == VERSION
    assert info["protocols"] == {"socketio": 5, "engineio": 4, "openapi": "3.1.0", "asyncapi": "3.0.0"}
    assert info["limits"]["frame_bytes"] == 65_536
    assert info["limits"]["page_limit"] == 100


# -- figures


async def test_metrics_are_figures_for_prometheus(http: Http) -> None:
    await http.get("/api/auth/me")

    reply = await http.get("/metrics")

    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    assert re.search(r'plaza_http_requests_total\{.*route="/api/auth/me".*status="401"\}', reply.body)


async def test_with_a_token_metrics_are_for_its_bearer(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(metrics_token=OPERATOR))

    assert (await Http(node.url, OPERATOR).get("/metrics")).status == 200
    for token in (None, "", "wrong", OPERATOR + "x"):
        assert (await Http(node.url, token).get("/metrics")).code == "not_found"
    request = (
        b"GET /metrics HTTP/1.1\r\nHost: plaza\r\nConnection: close\r\nAuthorization: Bearer \xff\r\n\r\n"
    )
    assert (await say(node.url, request)).status == 404


async def test_in_production_without_a_token_metrics_are_for_this_machine(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(**PRODUCTION))
    async with Http(node.url) as http:
        assert (await http.get("/metrics")).status == 200
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            assert (await http.get("/metrics", headers={name: "203.0.113.1"})).code == "not_found"


async def test_what_clients_make_up_makes_no_figures(http: Http) -> None:
    await http.get("/api/made-up-by-a-client")
    await http.ask("BREW", "/livez")

    figures = (await http.get("/metrics")).body

    assert "made-up-by-a-client" not in figures
    assert "BREW" not in figures
