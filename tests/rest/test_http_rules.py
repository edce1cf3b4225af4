"""The rules that hold for every route, whatever it does."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from realtime.app import build_app
from realtime.gateway.http import Runner
from realtime.policy import Verb
from rest.app import add_rest, add_routes, all_routes
from rest.openapi import docs, response_schema
from tests.clients import Http, Person
from tests.conftest import MakeSettings, Node, SignUp, StartNode
from tests.raw_http import say

ERROR_FIELDS = {
    "success", "error", "message", "detail", "status_code", "code", "retryable", "request_id",
}  # fmt: skip
PARAMETER = re.compile(r"\{\w+(?::[^{}]*)?\}")


@pytest.fixture
async def http(plaza: Node) -> AsyncIterator[Http]:
    """Somebody without a name."""
    async with Http(plaza.url) as client:
        yield client


@docs(tags=["test"], summary="Fails", verb=Verb.OPEN)
@response_schema(None)
async def _bug(request: web.Request) -> web.Response:
    raise RuntimeError("the secret text of a bug")


@docs(tags=["test"], summary="Private, and does not look who asks", verb=Verb.TAKE_PART)
@response_schema(None)
async def _private(request: web.Request) -> web.Response:
    return web.Response(text="a secret")


@docs(tags=["test"], summary="Waits", verb=Verb.OPEN)
@response_schema(None)
async def _forever(request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


@docs(tags=["test"], summary="Refuses like the library does", verb=Verb.OPEN)
@response_schema(None)
async def _gone(request: web.Request) -> web.Response:
    raise web.HTTPGone(text="internal words")


@pytest.fixture
async def workshop(start_node: StartNode, make_settings: MakeSettings) -> AsyncIterator[Http]:
    """A node with more routes: one has a bug, one never ends, one raises the library's own error…"""
    node = await start_node(make_settings(timeouts={"request": 0.5}))
    app = build_app(node.services, add_rest)
    for name, handler in (("bug", _bug), ("private", _private), ("forever", _forever), ("gone", _gone)):
        app.router.add_get(f"/api/{name}", handler)
    runner = Runner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Http(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        yield client
    await runner.cleanup()


# -- addresses


def _literal(path: str) -> str:
    return PARAMETER.sub(str(uuid.UUID(int=7)), path)


async def _meets(router: web.UrlDispatcher, method: str, path: str) -> object:
    return (await router.resolve(make_mocked_request(method, path))).handler


async def test_every_route_is_met_at_its_address_with_and_without_a_trailing_slash() -> None:
    router = web.UrlDispatcher()
    add_routes(router, all_routes())

    for route in all_routes():
        plain = _literal(route.path).rstrip("/") or "/"
        for path in {plain, plain.rstrip("/") + "/"}:
            assert await _meets(router, route.method, path) is route.handler, f"{route.method} {path}"


async def test_literal_routes_win_over_parameters_whatever_the_order_of_registration() -> None:
    for order in (all_routes(), list(reversed(all_routes()))):
        router = web.UrlDispatcher()
        add_routes(router, order)
        for route in order:
            assert await _meets(router, route.method, _literal(route.path)) is route.handler, route.path


async def test_a_trailing_slash_is_no_redirect(ann: Person) -> None:
    for path in ("/api/auth/me", "/api/auth/me/"):
        reply = await ann.http.get(path, allow_redirects=False)
        assert (reply.status, reply.data["id"]) == (200, ann.id)


@pytest.mark.parametrize(
    "path", ["/api//auth/me", "//api/auth/me", "/api/auth/me//", "/nothing", "/api/%2e%2e/x"]
)
async def test_other_addresses_are_not_found_in_the_usual_shape(http: Http, path: str) -> None:
    reply = await http.get(path)

    assert (reply.status, reply.code) == (404, "not_found")
    assert set(reply.body) == ERROR_FIELDS
    assert reply.body["success"] is False
    assert reply.body["message"] == reply.body["error"]
    assert reply.headers["X-Request-Id"] == reply.body["request_id"]


async def test_a_wrong_method_is_told_the_right_ones(http: Http) -> None:
    reply = await http.ask("PUT", "/api/messages/conversations")
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert {"GET", "HEAD"} <= set(reply.headers["Allow"].split(", "))

    assert (await http.ask("TRACE", "/livez")).status == 405


async def test_head_answers_like_get_without_a_body(ann: Person) -> None:
    got = await ann.http.get("/api/auth/me")
    head = await ann.http.ask("HEAD", "/api/auth/me")

    assert head.status == 200
    assert not head.body
    assert head.headers["ETag"] == got.headers["ETag"]


async def test_an_id_that_is_none_is_not_found(ann: Person) -> None:
    for text in ("1", "x" * 300, str(uuid.uuid4()).upper(), "{$ne:1}", "%00"):
        assert (await ann.http.get(f"/api/users/{text}")).code == "not_found"


# -- errors


async def test_a_bug_is_answered_without_its_text_and_logged_with_it(workshop: Http) -> None:
    with structlog.testing.capture_logs() as logs:
        reply = await workshop.get("/api/bug")

    assert (reply.status, reply.code, reply.body["retryable"]) == (500, "internal", False)
    assert "secret text" not in json.dumps(reply.body)
    entry = next(entry for entry in logs if entry["event"] == "request_failed")
    assert "secret text" in str(entry["exc_info"])


async def test_the_librarys_own_errors_have_our_shape(workshop: Http) -> None:
    reply = await workshop.get("/api/gone")

    assert reply.status == 400
    assert set(reply.body) == ERROR_FIELDS
    assert "internal words" not in json.dumps(reply.body)


async def test_a_request_has_a_deadline(workshop: Http) -> None:
    reply = await workshop.get("/api/forever")

    assert (reply.status, reply.code, reply.body["retryable"]) == (503, "timeout", True)


# -- who asks


async def test_a_private_route_wants_a_token(http: Http) -> None:
    for headers in (
        {},
        {"Authorization": "Basic abc"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
    ):
        reply = await http.get("/api/auth/me", headers=headers)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_private_route_is_private_even_if_it_does_not_look_who_asks(workshop: Http) -> None:
    assert (await workshop.get("/api/private")).code == "unauthenticated"


async def test_a_token_does_not_travel_in_the_address(ann: Person) -> None:
    for name in ("token", "access_token"):
        reply = await Http(ann.http.url).get(f"/api/auth/me?{name}={ann.token}")
        assert (reply.status, reply.code) == (400, "token_in_url")


async def test_a_stale_token_does_not_bar_public_routes(http: Http) -> None:
    reply = await http.get("/health", headers={"Authorization": "Bearer stale"})

    assert reply.status == 200


async def test_only_trusted_proxies_choose_request_ids(
    http: Http, start_node: StartNode, make_settings: MakeSettings
) -> None:
    wished = {"X-Request-Id": "from-outside-1", "X-Forwarded-For": "203.0.113.9"}
    assert (await http.get("/livez", headers=wished)).headers["X-Request-Id"] != "from-outside-1"

    node = await start_node(make_settings(trusted_proxies="127.0.0.0/8"))
    async with Http(node.url) as behind_proxy:
        assert (await behind_proxy.get("/livez", headers=wished)).headers["X-Request-Id"] == "from-outside-1"
        odd = {**wished, "X-Request-Id": "a b{}"}
        assert (await behind_proxy.get("/livez", headers=odd)).headers["X-Request-Id"] != "a b{}"


# -- budgets


async def test_a_used_up_public_budget_is_said_with_its_headers(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(limits={"public_per_minute": 3}))
    async with Http(node.url) as http:
        left = [int((await http.get("/api/auth/me")).headers["RateLimit-Remaining"]) for _ in range(3)]
        reply = await http.get("/api/auth/me")

        assert left == [2, 1, 0]
        assert (reply.status, reply.code, reply.body["retryable"]) == (429, "rate_limited", True)
        assert 1 <= int(reply.headers["Retry-After"]) <= 120
        assert reply.body["retry_after_ms"] > 0
        assert (reply.headers["RateLimit-Limit"], reply.headers["RateLimit-Remaining"]) == ("3", "0")
        assert 1 <= int(reply.headers["RateLimit-Reset"]) <= 60
        assert (await http.get("/livez")).status == 200


async def test_addresses_that_clients_make_up_do_not_dodge_the_budget(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(limits={"public_per_minute": 3}))
    async with Http(node.url) as http:
        statuses = [
            (await http.get("/api/auth/me", headers={"X-Forwarded-For": f"203.0.113.{n}"})).status
            for n in range(5)
        ]

    assert statuses == [401, 401, 401, 429, 429]


async def test_behind_a_trusted_proxy_the_rightmost_untrusted_hop_counts(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    settings = make_settings(limits={"public_per_minute": 2}, trusted_proxies="127.0.0.0/8,10.0.0.0/8")
    node = await start_node(settings)
    async with Http(node.url) as http:

        async def status(hops: str) -> int:
            return (await http.get("/api/auth/me", headers={"X-Forwarded-For": hops})).status

        assert [await status(f"198.51.100.{n}, 203.0.113.7, 10.0.0.1") for n in range(3)] == [401, 401, 429]
        assert await status("203.0.113.8") == 401


async def test_each_person_has_a_budget_of_their_own(
    start_node: StartNode, make_settings: MakeSettings, join: SignUp
) -> None:
    ann, bob = await join("ann"), await join("bob")
    node = await start_node(make_settings(limits={"user_per_minute": 2}))
    async with Http(node.url, ann.token) as hers, Http(node.url, bob.token) as his:
        assert [(await hers.get("/api/auth/me")).status for _ in range(3)] == [200, 200, 429]
        assert (await his.get("/api/auth/me")).status == 200


# -- logs


async def test_a_hostile_user_agent_cannot_write_log_lines(plaza: Node) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: "
    assert (await say(plaza.url, head + b"\x1b[31m\r\n\r\n")).status == 400

    agent = "${jndi:ldap://x}\u009b31m\u2028".encode() + b"a" * 4000
    with structlog.testing.capture_logs() as logs:
        assert (await say(plaza.url, head + agent + b"\r\n\r\n")).status == 200

    [noted] = [str(entry["agent"]) for entry in logs if entry["event"] == "request"]
    assert len(noted) <= 512
    assert noted.isprintable()
