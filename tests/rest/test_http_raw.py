"""Requests that try to mean two things at once, or too much of one."""

import pytest

from tests.clients import Http
from tests.conftest import Node
from tests.raw_http import say

HOST = b"Host: plaza\r\n"
GET = b"GET /livez HTTP/1.1\r\n" + HOST
POST = b"POST /api/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
INNER = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"

HOSTILE = {
    "two Content-Lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "Content-Length and Transfer-Encoding": POST
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative Content-Length": POST + b"Content-Length: -1\r\n\r\n",
    "a signed Content-Length": POST + b"Content-Length: +2\r\n\r\n{}",
    "an unknown Transfer-Encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk size that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    "a line break in a chunk extension": POST
    + b"Transfer-Encoding: chunked\r\n\r\n2;a\n=b\r\n{}\r\n0\r\n\r\n",
    "two Hosts": b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "NUL in a header": GET + b"X-A: b\0c\r\n\r\n",
    "a space in a header's name": GET + b"X A: b\r\n\r\n",
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: plaza\n\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "five thousand headers": GET + b"".join(b"X-%d: a\r\n" % n for n in range(5000)) + b"\r\n",
}
HUGE = {
    "a header of a megabyte": GET + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "an address of a megabyte": b"GET /livez?" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
async def test_an_ambiguous_request_is_refused_and_the_connection_closed(plaza: Node, data: bytes) -> None:
    reply = await say(plaza.url, data + INNER)

    assert (reply.status, reply.closed) == (400, True)
    assert (reply.body["code"], reply.body["success"]) == ("bad_request", False)
    assert reply.text.count(b"HTTP/1.") == 1
    assert (await Http(plaza.url).get("/livez")).status == 200


@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE.keys())
async def test_huge_headers_are_refused_and_the_connection_closed(plaza: Node, data: bytes) -> None:
    reply = await say(plaza.url, data)

    assert reply.closed
    assert reply.status in (0, 431)  # 0: the reset overtook the answer, since we stopped reading
    assert (await Http(plaza.url).get("/livez")).status == 200


async def test_the_body_of_an_upgrade_is_no_second_request(plaza: Node) -> None:
    head = POST + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(
        INNER
    )

    reply = await say(plaza.url, head + INNER)

    assert reply.text.count(b"HTTP/1.") == 1
    assert reply.status in (400, 422)


async def test_many_requests_on_one_connection_are_answered_one_by_one(plaza: Node) -> None:
    last = b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

    reply = await say(plaza.url, INNER * 500 + last)

    assert reply.closed
    assert reply.text.count(b"HTTP/1.1 200 ") == 501
