"""The upgrade request (RFC 6455, section 4): what is accepted, what is refused, and what comes behind."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import pytest

from tests.protocol.echo import EchoServer, serve_echo, settings_for
from tests.protocol.polling import Polling
from tests.protocol.wire import NEW_SESSION, WAIT, Wire, close, ping, pong, text, upgrade_request
from tests.raw_http import RawReply, say

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HELLO = text("4hello")
LAST_REQUEST = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Behind a request that does not close its connection itself."""


@pytest.fixture(params=[True, False], ids=["doorman", "http"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[EchoServer]:
    """An echo of one's own, with the doorman who knows the usual handshake, and without him."""
    async with serve_echo(settings_for(), doorman=request.param) as one:
        yield one


def headers_of(head: str) -> dict[str, str]:
    lines = head.strip().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_the_answer_proves_that_the_key_was_read(server: EchoServer) -> None:
    async with Wire(server.url, headers={"Sec-WebSocket-Key": KEY}) as wire:
        headers = headers_of(wire.head)
        greeting = await wire.open()
    assert (
        headers["sec-websocket-accept"]
        == base64.b64encode(hashlib.sha1((KEY + GUID).encode()).digest()).decode()
    )
    assert headers["upgrade"].lower() == "websocket"
    assert headers["connection"].lower() == "upgrade"
    assert "content-length" not in headers
    assert "transfer-encoding" not in headers
    assert greeting["upgrades"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": None, "upgrade": "WEBSOCKET"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade,keep-alive"},
        {"Connection": None, "CONNECTION": "UPGRADE"},
        {
            "Sec-WebSocket-Key": None,
            "sec-websocket-key": KEY,
            "Sec-WebSocket-Version": None,
            "SEC-WEBSOCKET-VERSION": "13",
        },
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Extensions": "permessage-deflate, x-webkit-deflate-frame"},
        {"Sec-WebSocket-Protocol": "chat, superchat"},
        {"Origin": "https://anywhere.example.org"},
    ],
    ids=str,
)
async def test_what_clients_and_proxies_write_is_accepted(
    server: EchoServer, changes: dict[str, str | None]
) -> None:
    async with Wire(server.url, headers=changes) as wire:
        headers = headers_of(wire.head)
        await wire.open()
        await wire.say(HELLO, close(1000))
        assert await wire.hear_all() == [HELLO, close(1000)]
    assert "sec-websocket-extensions" not in headers
    assert "sec-websocket-protocol" not in headers


async def ask(server: EchoServer, request: bytes) -> RawReply:
    """Ask, once; no session may be left behind."""
    reply = await say(server.url, request + LAST_REQUEST)
    assert server.echo.sockets == {}
    assert server.sockets.eio.sockets == {}
    return reply


def refused_request(changes: Mapping[str, str | None], query: str = NEW_SESSION) -> bytes:
    return upgrade_request("127.0.0.1", query, {"Connection": "Upgrade, close", **changes})


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
        ({"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()}, 400),
        ({"Sec-WebSocket-Key": "!" * 24}, 400),
        ({"Sec-WebSocket-Key": "é" * 24}, 400),
        ({"Upgrade": None}, 400),
        ({"Upgrade": "h2c"}, 400),
        ({"Connection": "close"}, 400),
        ({"Connection": None}, 400),
    ],
    ids=str,
)
async def test_a_request_that_is_no_upgrade_is_refused(
    server: EchoServer, changes: dict[str, str | None], status: int
) -> None:
    reply = await ask(server, refused_request(changes))
    assert reply.status == status


@pytest.mark.parametrize("version", ["8", "12", "14", "", "x", None])
async def test_another_version_is_told_which_one_there_is(server: EchoServer, version: str | None) -> None:
    reply = await ask(server, refused_request({"Sec-WebSocket-Version": version}))
    assert reply.status == 426
    head = reply.text.partition(b"\r\n\r\n")[0].decode()
    assert headers_of(head)["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    "query",
    [
        "EIO=4&transport=websocket&sid=unknown",
        "EIO=4&transport=websocket&sid=",
        "EIO=3&transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=&transport=websocket",
        "transport=websocket",
        "EIO=4&transport=abc",
        "EIO=4&transport=",
    ],
)
async def test_a_query_that_names_no_session_of_ours_is_refused(server: EchoServer, query: str) -> None:
    reply = await ask(server, refused_request({}, query))
    assert reply.status == 400


async def test_http_1_0_knows_no_upgrade(server: EchoServer) -> None:
    reply = await ask(server, refused_request({}).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
    assert reply.status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
async def test_only_get_upgrades(server: EchoServer, method: str) -> None:
    request = refused_request({"Content-Length": "0"}).replace(b"GET ", method.encode() + b" ", 1)
    reply = await ask(server, request)
    assert reply.status in {200, 400, 405}
    assert not reply.text.startswith(b"HTTP/1.1 101")


async def test_an_upgrade_that_is_refused_leaves_a_polling_session_alone(server: EchoServer) -> None:
    async with Polling(server.url) as polling:
        for changes in ({"Sec-WebSocket-Key": None}, {"Sec-WebSocket-Version": "8"}):
            reply = await say(server.url, refused_request(changes, polling.upgrade_query))
            assert reply.status in {400, 426}
        await polling.post("4still here")
        assert (await polling.poll()).body == "4still here"


# -- what comes behind the request


async def test_frames_in_the_same_segment_as_the_request_are_read(server: EchoServer) -> None:
    behind = HELLO.encode() + ping(b"early").encode() + close(1000).encode()
    async with Wire(server.url, behind=behind) as wire:
        assert (await wire.open())["sid"]
        heard = await wire.hear_all()
    assert [frame for frame in heard if frame.opcode != 10] == [HELLO, close(1000)]
    assert pong(b"early") in heard


async def test_half_a_frame_in_the_same_segment_as_the_request_goes_on_in_the_next(
    server: EchoServer,
) -> None:
    octets = HELLO.encode()
    for cut in range(1, len(octets)):
        async with Wire(server.url, behind=octets[:cut]) as wire:
            await wire.open()
            await wire.say(octets[cut:], close(1000))
            assert await wire.hear_all() == [HELLO, close(1000)]


async def test_a_large_message_behind_the_request_is_read(server: EchoServer) -> None:
    large = text("4" + "*" * 65_535)
    async with Wire(server.url, behind=large.encode() + close(1000).encode()) as wire:
        await wire.open()
        assert await wire.hear_all() == [large, close(1000)]


async def test_the_probe_may_come_behind_the_request(server: EchoServer) -> None:
    async with Polling(server.url) as polling:
        behind = text("2probe").encode() + text("5").encode() + HELLO.encode() + close(1000).encode()
        async with Wire(server.url, polling.upgrade_query, behind=behind) as wire:
            assert await wire.hear_all() == [text("3probe"), HELLO, close(1000)]
        assert await server.echo.end_of(polling.sid)


async def test_an_upgrade_may_follow_other_requests_on_its_connection(server: EchoServer) -> None:
    """Proxies keep connections and use them again; some write the next request before the last answer."""
    poll = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n"
    nowhere = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with Wire(server.url, ahead=poll + nowhere, behind=HELLO.encode() + close(1000).encode()) as wire:
        await wire.open()
        assert await wire.hear_all() == [HELLO, close(1000)]


async def test_an_upgrade_request_may_come_octet_by_octet(server: EchoServer) -> None:
    async with Wire(server.url, behind=HELLO.encode() + close(1000).encode(), chop=1) as wire:
        await wire.open()
        assert await wire.hear_all() == [HELLO, close(1000)]


# -- two doors


async def first_line(url: str, request: bytes) -> bytes:
    """How the answer to a request begins."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    async with asyncio.timeout(WAIT):
        line = await reader.readline()
    writer.transport.abort()
    return line


USUAL = upgrade_request("localhost")


async def test_the_doorman_takes_the_usual_handshake_and_nothing_else() -> None:
    async with serve_echo(settings_for()) as server:
        async with Wire(server.url) as wire:
            await wire.open()
        assert server.requests == []
        async with Polling(server.url) as polling, polling.upgraded():
            assert server.requests == ["GET ", f"GET {polling.sid}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"GET ", b"\r\nGET ", id="an empty line first"),
        pytest.param(b"GET ", b"get ", id="a small method"),
        pytest.param(b" HTTP/1.1", b"  HTTP/1.1", id="two spaces"),
        pytest.param(b" HTTP/1.1", b" HTTP/1.2", id="another minor version"),
        pytest.param(b" HTTP/1.1", b" HTTP/2.0", id="another version"),
        pytest.param(b"GET /", b"GET http://localhost/", id="an absolute address"),
        pytest.param(b"EIO=4", b"EIO=4&EIO=4", id="a parameter twice"),
        pytest.param(b"EIO=4", b"EIO=%34", id="an escaped parameter"),
        pytest.param(b"EIO=4", b"EIO=4&t=x#fragment", id="a fragment"),
        pytest.param(b"/socket.io/", b"/socket.io", id="no slash"),
        pytest.param(b"/socket.io/", b"/socket%2Eio/", id="an escaped path"),
        pytest.param(b"/socket.io/", b"//socket.io/", id="two slashes"),
        pytest.param(b"Host:", b"Host :", id="a space before the colon"),
        pytest.param(b"Host: localhost", b"Host: localhost\r\n folded", id="a folded header"),
        pytest.param(b"Host: localhost", b"Host: local\x00host", id="a NUL"),
        pytest.param(b"Host: localhost", b"Host: \xff\xfe", id="octets beyond ASCII"),
        pytest.param(b"Host:", b"Content-Length: 5\r\nHost:", id="a body"),
        pytest.param(b"Host:", b"Content-Length: x\r\nHost:", id="a length that is none"),
        pytest.param(b"Host:", b"Transfer-Encoding: chunked\r\nHost:", id="chunks"),
        pytest.param(b"Host:", b"Upgrade: h2c\r\nHost:", id="two upgrades"),
        pytest.param(b"Host:", b"Sec-WebSocket-Version: 13\r\nHost:", id="a version twice"),
        pytest.param(b"Host:", b"Host: elsewhere\r\nHost:", id="two hosts"),
        pytest.param(b"Sec-WebSocket-Key:", b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Key:", id="two keys"),
        pytest.param(b"Host:", b": x\r\nHost:", id="a header without a name"),
        pytest.param(b"Host:", b"rubbish\r\nHost:", id="a line that is no header"),
        pytest.param(b"Host:", b"X: " + b"x" * 9000 + b"\r\nHost:", id="a very long header"),
    ],
)
async def test_both_doors_judge_alike(before: bytes, after: bytes) -> None:
    assert before in USUAL
    request = USUAL.replace(before, after, 1)
    async with (
        serve_echo(settings_for()) as one,
        serve_echo(settings_for(), doorman=False) as other,
    ):
        assert await first_line(one.url, request) == await first_line(other.url, request)
