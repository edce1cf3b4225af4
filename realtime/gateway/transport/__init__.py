"""The transport: Engine.IO v4 and Socket.IO v5, on python-engineio, python-socketio and aiohttp.

This is the only place that touches the private parts of the first two (versions are pinned, and
tests/protocol/test_library_contract.py fails when they change). Long polling goes the libraries' way, with
bounds they lack. A WebSocket leaves them at its upgrade: it is one `WebSocket` protocol on the connection,
and costs neither a task nor a queue from then on. Heartbeats share one wheel; closing never waits.
"""

from realtime.gateway.transport.packets import connected_packet, refused_packet
from realtime.gateway.transport.servers import EngineServer, SocketServer
from realtime.gateway.transport.sockets import EngineSocket, Receiver

__all__ = ["EngineServer", "EngineSocket", "Receiver", "SocketServer", "connected_packet", "refused_packet"]
