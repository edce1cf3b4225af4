"""A small front: one address, behind it the nodes that say they are ready.

As load balancers do it: each new connection goes to the next ready node, and on to another one when that does
not even accept it. What goes through a connection is not looked at.
"""

import asyncio
import itertools
from collections.abc import Sequence

from common.engines.ports import LOOPBACK
from loadtests.server import Node

LOOK_EVERY = 0.1
CONNECT_SECONDS = 1.0
PIECE = 65_536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Front:
    """Listens while the block lasts."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes, self._turn = nodes, itertools.count()
        self._ready: list[Node] = list(nodes)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.refused = 0
        """Connections for which there was no node."""

    async def __aenter__(self) -> "Front":
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, backlog=1024)
        self._keep(asyncio.create_task(self._look()))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self) -> None:
        """Ask the nodes whether they are ready."""
        while True:
            answers = await asyncio.gather(*(node.is_ready() for node in self._nodes))
            self._ready = [node for node, is_ready in zip(self._nodes, answers, strict=True) if is_ready]
            await asyncio.sleep(LOOK_EVERY)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(task := asyncio.ensure_future(self._join((reader, writer))))
        await asyncio.wait([task])

    async def _join(self, client: Streams) -> None:
        node = await self._reach_a_node()
        if node is None:
            self.refused += 1
            client[1].transport.abort()
            return
        try:
            await asyncio.gather(_pump(client[0], node[1]), _pump(node[0], client[1]))
        finally:
            client[1].close()
            node[1].close()

    async def _reach_a_node(self) -> Streams | None:
        first = next(self._turn)
        ready = list(self._ready)
        for place in range(len(ready)):
            node = ready[(first + place) % len(ready)]
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(LOOPBACK, node.port)
            except OSError:
                continue
        return None


async def _pump(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
    """One direction, to its end; a broken one ends the other too."""
    try:
        while piece := await source.read(PIECE):
            drain.write(piece)
            await drain.drain()
    except (OSError, RuntimeError):  # uvloop has its own word for a transport that is gone
        drain.transport.abort()
    else:
        drain.close()
