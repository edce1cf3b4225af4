"""What Plaza itself answers to the cases of the public test suite of Socket.IO v5, on every transport.

Plaza serves the main namespace and nothing binary: where the suite expects more, there is a typed error, and
the connection goes on. Whether the transport could carry it is the matter of test_socketio.py.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.clients import Person, sign_up
from tests.conftest import MakeSettings, Node, StartNode
from tests.protocol.talk import CLOSED, Talker, Transport, on_every_transport

pytestmark = on_every_transport

PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
SYNC = '["sync",{}]'


@pytest.fixture(scope="module")
async def regular(plaza: Node) -> AsyncIterator[Person]:
    """Somebody who connects in test after test."""
    person = await sign_up(plaza.url, "regular")
    yield person
    await person.leave()


async def hear_text(client: Talker) -> str:
    packet = await client.hear()
    assert isinstance(packet, str)
    return packet


async def error_of(client: Talker) -> Any:
    """The content of the next packet, which is the event `error`."""
    packet = await hear_text(client)
    assert packet.startswith('42["error",')
    return json.loads(packet[2:])[1]


async def connected(client: Talker, person: Person) -> Talker:
    await client.say("40" + json.dumps({"token": person.token}))
    answer = await hear_text(client)
    assert set(json.loads(answer.removeprefix("40"))) == {"sid"}
    return client


async def goes_on(client: Talker) -> bool:
    await client.say(f"42999{SYNC}")
    return json.loads((await hear_text(client)).removeprefix("43999"))[0]["ok"]


# -- connect


@pytest.mark.parametrize("auth", ["", "{}", '{"token":"123"}', '{"token":123}', "[]", "null", '"token"'])
async def test_connecting_without_a_good_token_is_refused(
    plaza: Node, transport: Transport, auth: str
) -> None:
    async with transport(plaza.url) as client:
        await client.say("40" + auth)
        refusal = json.loads((await hear_text(client)).removeprefix("44"))
        assert (refusal["data"]["code"], refusal["data"]["status_code"]) == ("invalid_token", 401)
        assert refusal["message"] == refusal["data"]["message"]


async def test_who_was_refused_is_closed(plaza: Node, transport: Transport) -> None:
    async with transport(plaza.url) as client:
        await client.say("40")
        assert (await hear_text(client)).startswith("44")
        assert await client.hear() == CLOSED


async def test_connecting_with_a_token(plaza: Node, regular: Person, transport: Transport) -> None:
    async with transport(plaza.url) as client:
        assert await goes_on(await connected(client, regular))


@pytest.mark.parametrize("connect", ["40/custom,", '40/custom,{"token":"abc"}', "40/random", "40/random,"])
async def test_there_is_no_other_namespace(
    plaza: Node, regular: Person, transport: Transport, connect: str
) -> None:
    async with transport(plaza.url) as client:
        await client.say(connect)
        assert (await error_of(client))["code"] == "bad_namespace"
        await connected(client, regular)
        await client.say(connect)
        assert (await error_of(client))["code"] == "bad_namespace"
        assert await goes_on(client)


async def test_an_invalid_handshake_is_a_bad_packet(
    plaza: Node, regular: Person, transport: Transport
) -> None:
    async with transport(plaza.url) as client:
        await client.say("4abc")
        assert (await error_of(client))["code"] == "bad_packet"
        assert await goes_on(await connected(client, regular))


async def test_who_does_not_connect_in_time_is_closed(
    make_settings: MakeSettings, start_node: StartNode, transport: Transport
) -> None:
    node = await start_node(make_settings(timeouts={"authenticate": 0.5}))
    async with transport(node.url) as client:
        assert await client.hear() == CLOSED


# -- disconnect


async def test_leaving_the_main_namespace_closes_the_connection(
    plaza: Node, ann: Person, transport: Transport
) -> None:
    async with transport(plaza.url) as client:
        await connected(client, ann)
        await client.say("41")
        assert await client.hear() == CLOSED
    assert ann.id not in {session.user_id for session in plaza.services.gateway.sessions}


async def test_closing_the_connection_ends_the_session(
    plaza: Node, ann: Person, transport: Transport
) -> None:
    async with transport(plaza.url) as client:
        await connected(client, ann)
        await client.say("1")
        assert await client.hear() == CLOSED
    assert ann.id not in {session.user_id for session in plaza.services.gateway.sessions}


async def test_leaving_a_namespace_that_is_none_changes_nothing(
    plaza: Node, regular: Person, transport: Transport
) -> None:
    async with transport(plaza.url) as client:
        await connected(client, regular)
        await client.say("41/custom,")
        assert (await error_of(client))["code"] == "bad_namespace"
        assert await goes_on(client)


# -- message


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        pytest.param('42["message",1,"2",{"3":[true]}]', "invalid_payload", id="several arguments"),
        pytest.param('42["message",{"3":[true]}]', "unknown_event", id="unknown"),
        pytest.param('42/custom,["message",{}]', "bad_namespace", id="in a custom namespace"),
        pytest.param("4abc", "bad_packet", id="unknown packet type"),
        pytest.param("42{}", "bad_event_name", id="invalid payload format"),
        pytest.param('42abc["message-with-ack",1,"2",{"3":[false]}]', "bad_packet", id="invalid ack id"),
        pytest.param(f'452-["message",{PLACEHOLDERS}]', "binary_not_supported", id="binary attachments"),
        pytest.param("4[1]", "bad_packet", id="JSON without a type"),
        pytest.param('4{"a":1}', "bad_packet", id="an object without a type"),
        pytest.param("4null", "bad_packet", id="null without a type"),
        pytest.param("4" + "[" * 60_000, "bad_packet", id="brackets without an end"),
    ],
)
async def test_what_is_no_command_gets_the_event_error(
    plaza: Node, regular: Person, transport: Transport, packet: str, code: str
) -> None:
    async with transport(plaza.url) as client:
        await connected(client, regular)
        await client.say(packet)
        error = await error_of(client)
        assert (error["code"], error["success"]) == (code, False)
        assert await goes_on(client)


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        pytest.param('42456["message-with-ack",1,"2",{"3":[false]}]', "invalid_payload", id="plain"),
        pytest.param(f'452-456["message-with-ack",{PLACEHOLDERS}]', "binary_not_supported", id="binary"),
    ],
)
async def test_what_is_no_command_gets_its_ack(
    plaza: Node, regular: Person, transport: Transport, packet: str, code: str
) -> None:
    async with transport(plaza.url) as client:
        await connected(client, regular)
        await client.say(packet)
        answer = json.loads((await hear_text(client)).removeprefix("43456"))
        assert (answer[0]["ok"], answer[0]["error"]["code"]) == (False, code)
        assert await goes_on(client)


async def test_every_attachment_is_refused_on_its_own(
    plaza: Node, regular: Person, transport: Transport
) -> None:
    async with transport(plaza.url) as client:
        await connected(client, regular)
        await client.say(f'452-["message",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06")
        codes = [(await error_of(client))["code"] for _ in range(3)]
        assert codes == ["binary_not_supported"] * 3
        assert await goes_on(client)


async def test_a_command_gets_exactly_one_ack(plaza: Node, regular: Person, transport: Transport) -> None:
    async with transport(plaza.url) as client:
        await connected(client, regular)
        await client.say(*[f"42{n}{SYNC}" for n in range(20)])
        heard = [await hear_text(client) for _ in range(20)]
        assert [packet.partition("[")[0] for packet in heard] == [f"43{n}" for n in range(20)]
        assert await goes_on(client)
