"""Readers who fall behind and catch up: nothing is lost, nothing stays, and writes are direct again."""

import json
import ssl
from collections.abc import Callable

import pytest
import trustme

from realtime.fanout.sending import NOWHERE
from tests.clients import Person, eventually, sign_up
from tests.conftest import MakeSettings, Node, StartNode
from tests.raw import RawSocket

LONG = "w" * 9_000
MANY = 100


@pytest.fixture
async def node(make_settings: MakeSettings, start_node: StartNode) -> Node:
    """A node that bears with slow readers for long."""
    return await start_node(make_settings(limits={"outgoing_bytes": 4_000_000, "outgoing_packets": 10_000}))


async def say_much(ann: Person, bob: Person) -> str:
    """Say it, and which conversation it is in."""
    device = await ann.device()
    for number in range(MANY):
        await device.send(f"{number} {LONG}", to=bob.id)
    return device.all("new_message")[0]["conversationId"]


def of(node: Node, person: Person) -> Callable[[], bool]:
    """Whether the one socket of a person is written to directly."""

    def is_direct() -> bool:
        (session,) = (one for one in node.services.gateway.sessions if one.user_id == person.id)
        return session.socket.direct is not NOWHERE

    return is_direct


async def test_who_reads_again_gets_everything_in_order_and_is_written_to_directly(node: Node) -> None:
    ann, bob = await sign_up(node.url, "ann"), await sign_up(node.url, "bob")
    is_direct = of(node, bob)
    async with RawSocket(node.url) as slow:
        await slow.open(bob.token)
        assert is_direct()
        slow.stop_reading(for_good=False)
        await say_much(ann, bob)
        assert not is_direct()

        slow.read_on()
        heard: list[int] = []
        while len(heard) < MANY:
            packet = await slow.hear()
            assert packet, "the socket was closed"
            if packet.startswith('42["new_message"'):
                heard.append(json.loads(packet[2:])[1]["seq"])

        assert heard == list(range(1, MANY + 1))
        await eventually(is_direct)
    for person in (ann, bob):
        await person.leave()


async def test_a_long_answer_goes_over_tls_and_so_does_what_follows(
    make_settings: MakeSettings, start_node: StartNode, tmp_path_factory: pytest.TempPathFactory, plaza: Node
) -> None:
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "all.pem")
    tls = {"certificate": folder / "all.pem", "key": folder / "all.pem"}
    secure = await start_node(make_settings(tls=tls))
    ann, bob = await sign_up(plaza.url, "ann"), await sign_up(plaza.url, "bob")
    conversation = await say_much(ann, bob)
    trusting = _trusting(authority)
    async with RawSocket(secure.url.replace("http://127.0.0.1", "https://localhost"), tls=trusting) as his:
        await his.open(bob.token)
        asked = json.dumps({"streams": {conversation: 0}})
        answer = await his.answer(f'422["sync",{asked}]', 2)

        assert len(json.dumps(answer)) > 65_536
        assert (await his.answer('423["ping",{}]', 3))["ok"]
    for person in (ann, bob):
        await person.leave()


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("query", ["&sid=", "&sid=one&sid=two", "&sid=&sid=one"])
async def test_a_request_names_one_session_or_none(plaza: Node, ann: Person, query: str) -> None:
    reply = await ann.http.get(f"/socket.io/?EIO=4&transport=polling{query}")
    assert reply.status == 400
