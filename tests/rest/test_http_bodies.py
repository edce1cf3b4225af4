"""What may come in: bodies, forms, query strings, cursors."""

import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.clients import Http, Person
from tests.conftest import MakeSettings, Node, StartNode
from tests.raw_http import say

JSON = {"Content-Type": "application/json"}
GROUP = "/api/conversations"


@pytest.fixture
async def http(plaza: Node) -> AsyncIterator[Http]:
    async with Http(plaza.url) as client:
        yield client


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ('["a list"]', "invalid_payload"),
        ('"text"', "invalid_payload"),
        ("null", "invalid_payload"),
        ("7", "invalid_payload"),
        ("", "invalid_payload"),
        ("{", "bad_json"),
        ('{"name": NaN}', "bad_json"),
        ('{"name": 1e999}', "bad_json"),
        ('{"name": "\\ud800"}', "bad_json"),
        ('{"name": "\x00"}', "bad_json"),
        ('{"name":' + "[" * 33 + "]" * 33 + "}", "too_deep"),
        ('{"name":' + "[" * 100_000 + "]" * 100_000 + "}", "bad_json"),
        ('{"name": "x", "__v": 1}', "unknown_field"),
        ('{"name": "x", "_id": "y"}', "unknown_field"),
        ('{"name": {"$ne": null}}', "invalid_payload"),
        ('{"name": "x", "memberIds": {"$where": "1"}}', "invalid_payload"),
        ('{"name": "x", "a.b": 1}', "unknown_field"),
    ],
)
async def test_bodies_that_do_not_fit_are_refused(ann: Person, raw: str, code: str) -> None:
    reply = await ann.http.ask("POST", GROUP, data=raw.encode(), headers=JSON)

    assert (reply.status, reply.code) == (422, code)


async def test_the_fields_at_fault_are_named(ann: Person) -> None:
    reply = await ann.http.post(GROUP, {"memberIds": ["no id"], "extra": 1})

    assert {error["field"] for error in reply.body["errors"]} == {"name", "memberIds.0", "extra"}


async def test_one_level_less_than_too_deep_is_read(ann: Person) -> None:
    raw = '{"name":' + "[" * 31 + "]" * 31 + "}"

    reply = await ann.http.ask("POST", GROUP, data=raw.encode(), headers=JSON)

    assert reply.code == "invalid_payload"


async def test_other_types_than_json_are_refused(ann: Person) -> None:
    for headers in ({"Content-Type": "text/plain"}, {}, {**JSON, "Content-Encoding": "gzip"}):
        reply = await ann.http.ask("POST", GROUP, data=b'{"name": "x"}', headers=headers)
        assert (reply.status, reply.code) == (415, "unsupported_media_type")


async def test_a_body_that_is_too_large_is_refused_announced_or_not(ann: Person) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    for data in (b" " * 2_000_000, endless()):
        try:
            reply = await ann.http.ask("POST", GROUP, data=data, headers=JSON)
        except aiohttp.ClientConnectionError:
            continue  # we stopped reading before the client had written everything
        assert (reply.status, reply.code) == (413, "too_large")
    assert (await ann.http.get("/api/auth/me")).status == 200


async def test_a_body_that_never_arrives_is_not_waited_for(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    node = await start_node(make_settings(timeouts={"request": 0.3}))
    lines = "POST /api/auth/login HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 20"
    head = "\r\n".join(lines) + "\r\n\r\n"

    assert (await say(node.url, head.encode() + b"{")).status == 408


async def test_facades_take_forms_and_ignore_what_they_do_not_know(http: Http) -> None:
    name = f"form{uuid.uuid4().hex[:8]}"

    reply = await http.ask(
        "POST", "/api/register/", data={"username": name, "password": "long enough", "csrf": "x"}
    )
    assert reply.status == 201

    reply = await http.ask("POST", "/api/register/", data={"username": [name], "password": ""})
    assert reply.status == 422


async def test_forms_are_for_facades_only(ann: Person) -> None:
    reply = await ann.http.ask("POST", GROUP, data={"name": "x"})

    assert reply.code == "unsupported_media_type"


# -- query strings


@pytest.mark.parametrize(
    "query",
    [
        "limit=1000000000", "limit=101", "limit=0", "limit=-1", "limit=x", "page=0",
        "page=99999999999999999999",
        "limit=5&limit=6", "limit=5&per_page=6", "per_page=101", "limit[$gt]=1", "[$regex]=.*", "$where=1",
        "unknown=1", "cursor[$ne]=1",
    ],
)  # fmt: skip
async def test_parameters_that_do_not_fit_are_refused_not_clamped(ann: Person, query: str) -> None:
    reply = await ann.http.get(f"/api/messages/conversations?{query}")

    assert reply.status == 422


async def test_per_page_is_another_word_for_limit(ann: Person) -> None:
    for query in ("limit=7", "per_page=7", "limit=7&per_page=7"):
        reply = await ann.http.get(f"/api/messages/conversations?{query}")
        assert reply.body["pagination"] == {
            "page": 1,
            "limit": 7,
            "total": 0,
            "pages": 0,
            "next_cursor": None,
        }


# -- cursors


@pytest.fixture
async def cursor(ann: Person) -> str:
    """A cursor of Ann's conversations."""
    for name in ("one", "two"):
        assert (await ann.http.post(GROUP, {"name": name})).status == 201
    reply = await ann.http.get("/api/messages/conversations?limit=1")
    return reply.body["pagination"]["next_cursor"]


async def test_a_cursor_goes_on_where_the_page_before_ended(ann: Person, cursor: str) -> None:
    reply = await ann.http.get("/api/messages/conversations", params={"limit": "1", "cursor": cursor})

    assert [entry["name"] for entry in reply.data] == ["one"]
    assert reply.body["pagination"]["next_cursor"] is None


async def test_a_cursor_that_was_tampered_with_is_refused(ann: Person, cursor: str) -> None:
    middle = len(cursor) // 2
    other = "A" if cursor[middle] != "A" else "B"
    forged = [
        cursor[:-2], cursor[:middle] + other + cursor[middle + 1 :], "-1", str(2**63), "x", "é", "=" * 8,
        "A" * 1024, "WzFd",
    ]  # fmt: skip

    for text in forged:
        reply = await ann.http.get("/api/messages/conversations", params={"cursor": text})
        assert (reply.status, reply.code) == (422, "bad_cursor"), text


async def test_a_cursor_belongs_to_one_list_and_one_person(ann: Person, bob: Person, cursor: str) -> None:
    elsewhere = await ann.http.get("/api/users/search", params={"q": "x", "cursor": cursor})
    somebody_else = await bob.http.get("/api/messages/conversations", params={"cursor": cursor})

    assert elsewhere.code == somebody_else.code == "bad_cursor"
