"""The turnstile: everybody gets through, in order, a few in each pass of the loop."""

import asyncio
import socket
import struct
from typing import Any

from realtime.gateway.turnstile import Turnstile
from tests.clients import eventually, sign_up
from tests.conftest import Node


class Listed(asyncio.Protocol):
    """A connection that notes in which pass of the loop it could be read first."""

    def __init__(self, turnstile: Turnstile, passes: list[int], read: list[int]) -> None:
        self._turnstile, self._passes, self._read = turnstile, passes, read
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._turnstile.come(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read.append(len(self._passes))
        self._transport.close()


async def count_passes(passes: list[int]) -> None:
    while True:
        passes.append(0)
        await asyncio.sleep(0)


async def test_of_many_that_come_together_few_are_read_in_one_pass() -> None:
    turnstile, passes, read = Turnstile(4), list[int](), list[int]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listed(turnstile, passes, read), "127.0.0.1", 0, backlog=200)
    port = server.sockets[0].getsockname()[1]
    counting = asyncio.create_task(count_passes(passes))
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for one in crowd:
        one.sendall(b"hello")

    await eventually(lambda: len(read) == 100)

    counting.cancel()
    assert len(turnstile) == 0
    assert max(read.count(one) for one in set(read)) <= 2 * 4, "those of a pass, and those let in before it"
    for one in crowd:
        one.close()
    server.close()


async def test_who_leaves_the_line_takes_nobodys_place() -> None:
    turnstile, read = Turnstile(1), list[int]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listed(turnstile, [], read), "127.0.0.1", 0, backlog=200)
    port = server.sockets[0].getsockname()[1]
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    for one in crowd[::2]:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    for one in crowd[1::2]:
        one.sendall(b"hello")

    await eventually(lambda: len(read) == 30)

    assert len(turnstile) == 0
    for one in crowd[1::2]:
        one.close()
    server.close()


async def test_a_node_answers_everybody_of_a_crowd(plaza: Node) -> None:
    ann = await sign_up(plaza.url, "ann")
    people = [type(ann.http)(plaza.url, ann.token) for _ in range(200)]

    replies = await asyncio.gather(*(one.get("/livez") for one in people))

    assert {reply.status for reply in replies} == {200}
    for one in people:
        await one.__aexit__()
    await ann.leave()
