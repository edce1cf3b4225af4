"""One connection of the bus, octet by octet: which answer belongs to which command."""

import asyncio
from typing import Any

from realtime.fanout.bus.wire import Refused, Wire


class Server(asyncio.Transport):
    """The other end, as far as the wire sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.is_aborted = True


class Ears:
    """Keeps what comes unasked."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, bytes]] = []
        self.ended: list[bytes] = []
        self.losses: list[str] = []

    def heard(self, channel: bytes, data: bytes) -> None:
        self.messages.append((channel, data))

    def unsubscribed(self, channel: bytes) -> None:
        self.ended.append(channel)

    def lost(self, wire: Wire, why: str) -> None:
        self.losses.append(why)


def connected() -> tuple[Wire, Server, Ears]:
    ears, server = Ears(), Server()
    wire = Wire(ears)
    wire.connection_made(server)
    return wire, server, ears


def push(*parts: bytes) -> bytes:
    return b">%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def test_an_end_of_the_servers_own_is_no_answer_to_a_subscription() -> None:
    wire, server, ears = connected()
    answers: list[Any] = []
    wire.subscribe(answers.append, "SSUBSCRIBE", b"a")
    wire.post(answers.append, "SPUBLISH", b"a", b"x")
    assert server.written.startswith(b"*2\r\n$10\r\nSSUBSCRIBE\r\n$1\r\na\r\n*3\r\n")

    wire.data_received(push(b"sunsubscribe", b"b", b"0") + push(b"smessage", b"c", b"hello"))
    assert (ears.ended, answers) == ([b"b"], [])
    wire.data_received(b"-MOVED 1 127.0.0.1:7000\r\n:3\r\n")

    assert ears.messages == [(b"c", b"hello")]
    assert isinstance(answers[0], Exception)
    assert answers[1:] == [3]


def test_answers_come_in_the_order_of_their_commands_however_they_are_cut() -> None:
    wire, _, ears = connected()
    answers: list[Any] = []
    wire.post(lambda answer: answers.append(("first", answer)), "PUBLISH", b"a", b"x")
    wire.subscribe(lambda answer: answers.append(("second", answer[1])), "SUBSCRIBE", b"a")
    wire.post_all([b"third"], [lambda answer: answers.append(("third", answer))])

    for octet in b":1\r\n" + push(b"message", b"a", b"x") + push(b"subscribe", b"a", b"1") + b":2\r\n":
        wire.data_received(bytes((octet,)))

    assert answers == [("first", 1), ("second", b"a"), ("third", 2)]
    assert ears.messages == [(b"a", b"x")]


def test_what_is_not_redis_is_hung_up_on() -> None:
    for rubbish in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n"):
        wire, server, _ = connected()
        wire.data_received(rubbish)
        assert server.is_aborted


def test_whoever_waits_is_told_of_the_end() -> None:
    wire, _, ears = connected()
    answers: list[Any] = []
    wire.post(answers.append, "PING")

    wire.connection_lost(ConnectionResetError())
    wire.post(answers.append, "PING")

    assert ears.losses == ["ConnectionResetError"]
    assert [type(answer) for answer in answers] == [Refused, Refused]
