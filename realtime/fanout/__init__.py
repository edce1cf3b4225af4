"""Fan-out: from one publication to every socket that listens, on this node and on the others."""

from realtime.fanout.fanout import Bus, Fanout
from realtime.fanout.local import Interest, LocalFanout, StreamSource
from realtime.fanout.outgoing import Connection, Outlet
from realtime.fanout.packets import Delivery, Packet, packet_of

__all__ = [
    "Bus",
    "Connection",
    "Delivery",
    "Fanout",
    "Interest",
    "LocalFanout",
    "Outlet",
    "Packet",
    "StreamSource",
    "packet_of",
]
