"""The cases of the public test suite of Socket.IO v5, by a stock python-socketio server on our transport.

The transport part of that suite is test_engineio.py. What Plaza itself answers to the same packets is in
test_gateway_protocol.py.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio

from tests.clients import eventually
from tests.protocol.stock import StockServer, serve_stock
from tests.protocol.talk import CLOSED, Talker, Transport, on_every_transport

pytestmark = on_every_transport

TWO_PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


@pytest.fixture(scope="session")
async def stock() -> AsyncIterator[StockServer]:
    async with serve_stock() as server:
        yield server


async def accepted(client: Talker, connect: str, prefix: str) -> None:
    """Connect, and be told a session id and nothing else."""
    await client.say(connect)
    answer = await client.hear()
    assert isinstance(answer, str)
    assert answer.startswith(prefix)
    handshake: Any = json.loads(answer[len(prefix) :])
    assert set(handshake) == {"sid"}
    assert isinstance(handshake["sid"], str)


async def connected(client: Talker) -> Talker:
    """Connect to the main namespace and hear its greeting."""
    await accepted(client, "40", "40")
    assert await client.hear() == '42["auth",{}]'
    return client


# -- connect


@pytest.mark.parametrize(
    ("connect", "prefix", "greeting"),
    [
        pytest.param("40", "40", '42["auth",{}]', id="main"),
        pytest.param('40{"token":"123"}', "40", '42["auth",{"token":"123"}]', id="main with a payload"),
        pytest.param("40/custom,", "40/custom,", '42/custom,["auth",{}]', id="custom"),
        pytest.param(
            '40/custom,{"token":"abc"}',
            "40/custom,",
            '42/custom,["auth",{"token":"abc"}]',
            id="custom with a payload",
        ),
    ],
)
async def test_connecting_to_a_namespace(
    stock: StockServer, transport: Transport, connect: str, prefix: str, greeting: str
) -> None:
    async with transport(stock.url) as client:
        await accepted(client, connect, prefix)
        assert await client.hear() == greeting


async def test_an_unknown_namespace_is_refused(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await client.say("40/random,")
        refusal = await client.hear()
        assert isinstance(refusal, str)
        assert refusal.startswith("44/random,")
        await connected(client)


async def test_an_invalid_handshake_closes_the_connection(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await client.say("4abc")
        assert await client.hear() == CLOSED


async def test_two_namespaces_share_a_connection(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await accepted(client, "40/custom,", "40/custom,")
        assert await client.hear() == '42/custom,["auth",{}]'
        await client.say('42/custom,["message","one"]', '42["message","two"]')
        heard = {await client.hear(), await client.hear()}
        assert heard == {'42/custom,["message-back","one"]', '42["message-back","two"]'}


# -- disconnect


async def test_who_left_the_main_namespace_is_not_heard(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await client.say("41", '42["message","into the void"]')
        await accepted(client, "40", "40")
        assert await client.hear() == '42["auth",{}]'


async def test_leaving_a_custom_namespace_leaves_the_main_one(
    stock: StockServer, transport: Transport
) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await accepted(client, "40/custom,", "40/custom,")
        assert await client.hear() == '42/custom,["auth",{}]'
        await client.say("41/custom,", '42["message","message to main namespace"]')
        assert await client.hear() == '42["message-back","message to main namespace"]'


async def test_a_server_can_send_somebody_away(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await accepted(client, "40/custom,", "40/custom,")
        assert await client.hear() == '42/custom,["auth",{}]'
        await client.say('42/custom,["leave"]')
        assert await client.hear() == "41/custom,"


async def test_the_end_of_the_connection_ends_every_namespace(transport: Transport) -> None:
    async with serve_stock() as stock, transport(stock.url) as client:
        await connected(client)
        await accepted(client, "40/custom,", "40/custom,")
        assert await client.hear() == '42/custom,["auth",{}]'
        await client.say("1")
        await eventually(lambda: len(stock.gone) == 2)
        assert {namespace for namespace, _ in stock.gone} == {"/", "/custom"}
        assert {reason for _, reason in stock.gone} == {socketio.AsyncServer.reason.CLIENT_DISCONNECT}


# -- message


@pytest.mark.parametrize("said", ['1,"2",{"3":[true]}', '"plain"', "null", '"héllo ✓ \U0001f600"', "[[[]]]"])
async def test_a_plain_text_packet(stock: StockServer, transport: Transport, said: str) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await client.say(f'42["message",{said}]')
        answer = await client.hear()
        assert isinstance(answer, str)
        assert json.loads(answer[2:]) == json.loads(f'["message-back",{said}]')


async def test_a_plain_text_packet_in_a_custom_namespace(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await accepted(client, "40/custom,", "40/custom,")
        assert await client.hear() == '42/custom,["auth",{}]'
        await client.say('42/custom,7["message-with-ack",1]')
        assert await client.hear() == "43/custom,7[1]"


async def test_a_packet_with_binary_attachments(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await client.say(f'452-["message",{TWO_PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06")
        assert await client.hear() == f'452-["message-back",{TWO_PLACEHOLDERS}]'
        assert [await client.hear(), await client.hear()] == [b"\x01\x02\x03", b"\x04\x05\x06"]


async def test_large_binary_attachments(stock: StockServer, transport: Transport) -> None:
    attachments = [bytes(20_000), b"\xff" * 20_000]
    async with transport(stock.url) as client:
        await connected(client)
        await client.say(f'452-["message",{TWO_PLACEHOLDERS}]')
        for attachment in attachments:
            await client.say(attachment)
        assert await client.hear() == f'452-["message-back",{TWO_PLACEHOLDERS}]'
        assert [await client.hear(), await client.hear()] == attachments


async def test_a_plain_text_packet_with_an_ack(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await client.say('42456["message-with-ack",1,"2",{"3":[false]}]')
        assert await client.hear() == '43456[1,"2",{"3":[false]}]'


async def test_a_packet_with_binary_attachments_and_an_ack(stock: StockServer, transport: Transport) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await client.say(f'452-789["message-with-ack",{TWO_PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06")
        assert await client.hear() == f"462-789[{TWO_PLACEHOLDERS}]"
        assert [await client.hear(), await client.hear()] == [b"\x01\x02\x03", b"\x04\x05\x06"]


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param("4abc", id="unknown packet type"),
        pytest.param("42{}", id="invalid payload format"),
        pytest.param('42abc["message-with-ack",1,"2",{"3":[false]}]', id="invalid ack id"),
    ],
)
async def test_an_invalid_format_closes_the_connection(
    stock: StockServer, transport: Transport, packet: str
) -> None:
    async with transport(stock.url) as client:
        await connected(client)
        await client.say(packet)
        assert await client.hear() == CLOSED
