"""Commands that are done at once and commands that wait: one ack each, in the order of asking."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from realtime.channels import Wire
from realtime.gateway.commands import Soon, command
from realtime.gateway.session import Session
from realtime.policy import Verb
from tests.clients import Person
from tests.conftest import MakeSettings, Node, StartNode
from tests.raw import RawSocket


class Said(Wire):
    """Which one it was; `waits` if it has to wait for the gate."""

    name: str = ""
    waits: bool = False


class GateCommands:
    """A command that is done at once or waits, as it is told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []

    @command("pass_gate", Verb.TAKE_PART)
    def pass_gate(self, session: Session, body: Said) -> Soon[Said]:
        """Pass the gate, or go around it."""
        self.begun.append(body.name)
        return self._wait(body) if body.waits else body

    async def _wait(self, body: Said) -> Said:
        await self.gate.wait()
        return body


def packet(ack: int, name: str, *, waits: bool = False) -> str:
    body = {"name": name, "waits": waits}
    return f"42{ack}" + json.dumps(["pass_gate", body])


@pytest.fixture
def gates() -> GateCommands:
    return GateCommands()


StartGate = Callable[..., Awaitable[Node]]


@pytest.fixture
def start_gate(start_node: StartNode, make_settings: MakeSettings, gates: GateCommands) -> StartGate:
    """Start a node with the gate."""

    async def start(**changes: Any) -> Node:
        node = await start_node(make_settings(**changes))
        node.services.commands.add(gates)
        return node

    return start


async def heard(socket: RawSocket, count: int) -> list[str]:
    return [await socket.hear() for _ in range(count)]


async def test_a_command_that_needs_no_waiting_waits_for_those_in_front_of_it(
    start_gate: StartGate, ann: Person, gates: GateCommands
) -> None:
    node = await start_gate()
    async with RawSocket(node.url) as socket:
        await socket.open(ann.token)
        await socket.say(packet(1, "first"))
        await socket.say(packet(2, "second", waits=True))
        await socket.say(packet(3, "third"))
        await socket.say('424["ping",{}]')
        await socket.say(packet(5, "fifth", waits=True))
        await socket.say('42{"')

        before = await heard(socket, 2)
        assert gates.begun == ["first", "second"]
        gates.gate.set()
        after = await heard(socket, 4)

    # What is no command at all is answered when it comes.
    assert before[0].startswith("431[") and before[1].startswith('42["error"')
    assert [text[: text.index("[")] for text in after] == ["432", "433", "434", "435"]
    assert gates.begun == ["first", "second", "third", "fifth"]


async def test_a_command_that_hangs_is_answered_and_the_next_one_goes_on(
    start_gate: StartGate, ann: Person, gates: GateCommands
) -> None:
    node = await start_gate(timeouts={"command": 0.3})
    async with RawSocket(node.url) as socket:
        await socket.open(ann.token)
        await socket.say(packet(1, "hangs", waits=True))
        await socket.say(packet(2, "behind"))

        hung, behind = await heard(socket, 2)

    assert hung.startswith("431[") and json.loads(hung[3:])[0]["error"]["code"] == "timeout"
    assert json.loads(behind[3:])[0] == {"ok": True, "data": {"name": "behind", "waits": False}}


async def test_what_does_not_fit_is_refused_in_its_turn(
    start_gate: StartGate, ann: Person, gates: GateCommands
) -> None:
    node = await start_gate(limits={"mailbox": 2})
    async with RawSocket(node.url) as socket:
        await socket.open(ann.token)
        await socket.say(packet(1, "waits", waits=True))
        await socket.say('422["pass_gate",{"nothing":1}]')
        await socket.say(packet(3, "third"))
        await socket.say(packet(4, "too many"))

        overloaded = await socket.hear()
        gates.gate.set()
        rest = await heard(socket, 3)

    assert overloaded.startswith("434[") and json.loads(overloaded[3:])[0]["error"]["code"] == "overloaded"
    assert [text[: text.index("[")] for text in rest] == ["431", "432", "433"]
    assert json.loads(rest[1][3:])[0]["error"]["code"] == "unknown_field"
