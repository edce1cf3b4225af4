"""How answers look: headers, entity tags, compression, other origins."""

import zlib
from collections.abc import Mapping

import aiohttp
import pytest

from tests.clients import Http, Person
from tests.conftest import MakeSettings, StartNode

ORIGIN = "https://app.example"
LARGE = "/docs/openapi.json"


async def raw(url: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """An answer as it is on the wire."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(url, headers=headers) as reply,
    ):
        return reply.status, reply.headers, await reply.read()


async def test_every_answer_says_how_browsers_should_treat_it(ann: Person) -> None:
    for path in ("/api/auth/me", "/api/nothing", "/docs"):
        headers = (await ann.http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Server"] == "plaza"
        assert headers["Cache-Control"] in ("private, no-cache", "no-store")


async def test_an_unchanged_answer_is_not_sent_again(ann: Person) -> None:
    first = await ann.http.get("/api/auth/me")
    tag = first.headers["ETag"]

    for given in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await ann.http.get("/api/auth/me", headers={"If-None-Match": given})
        assert (again.status, again.body, again.headers["ETag"]) == (304, "", tag)
    assert (await ann.http.get("/api/auth/me", headers={"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"), ("deflate", "deflate"), ("deflate, gzip;q=0.5", "gzip"), ("br, *", "gzip"),
        ("gzip;q=0, deflate", "deflate"), ("identity", None), ("gzip;q=0", None), ("", None),
    ],
)  # fmt: skip
async def test_large_answers_are_compressed_as_asked(ann: Person, accepted: str, coding: str | None) -> None:
    url = ann.http.url + LARGE
    _, _, plain = await raw(url, **{"Accept-Encoding": "identity"})

    status, headers, body = await raw(url, **{"Accept-Encoding": accepted})

    assert status == 200
    assert headers.get("Content-Encoding") == coding
    assert "Accept-Encoding" in headers["Vary"]
    assert (zlib.decompress(body, 47) if coding else body) == plain


async def test_each_coding_has_a_tag_of_its_own_and_all_are_recognised(ann: Person) -> None:
    url = ann.http.url + LARGE
    _, packed, _ = await raw(url, **{"Accept-Encoding": "gzip"})
    _, plain, _ = await raw(url, **{"Accept-Encoding": "identity"})

    assert packed["ETag"] != plain["ETag"]
    status, _, _ = await raw(url, **{"Accept-Encoding": "gzip", "If-None-Match": plain["ETag"]})
    assert status == 304


async def test_small_answers_and_pictures_are_left_alone(ann: Person) -> None:
    for path in ("/livez", "/docs/assets/favicon-32x32.png"):
        _, headers, _ = await raw(ann.http.url + path, **{"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in headers


async def test_configured_origins_may_read_and_others_may_not(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(allowed_origins=ORIGIN))
    async with Http(node.url) as http:
        allowed = await http.get("/info", headers={"Origin": ORIGIN})
        assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        assert "RateLimit-Remaining" in allowed.headers["Access-Control-Expose-Headers"]

        for origin in (
            "https://evil.example",
            "null",
            ORIGIN + ".evil.example",
            ORIGIN.upper(),
            ORIGIN + ":444",
        ):
            reply = await http.get("/info", headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in reply.headers
            assert "Origin" in reply.headers["Vary"]


async def test_a_preflight_is_answered_for_configured_origins(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(allowed_origins=ORIGIN))
    asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}
    async with Http(node.url) as http:
        path = "/api/conversations/x"
        good = await http.ask("OPTIONS", path, headers={"Origin": ORIGIN, **asked})
        bad = await http.ask("OPTIONS", path, headers={"Origin": "https://evil.example", **asked})

    assert good.status == 204
    assert good.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PATCH" in good.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in good.headers["Access-Control-Allow-Headers"]
    assert (bad.status, bad.code) == (403, "origin_refused")
    assert "Access-Control-Allow-Origin" not in bad.headers
