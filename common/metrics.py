"""Every figure Plaza exports on `/metrics`, in one place."""

from collections.abc import Iterator, Sequence

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Tally:
    """A number that only grows, and in one thread only: counting costs next to nothing."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def inc(self, amount: int = 1) -> None:
        self.count += amount


class Tallies(Collector):
    """Tallies by label, for what happens very often; they are put together when somebody looks."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._tallies: dict[tuple[str, ...], Tally] = {}
        REGISTRY.register(self)

    def labels(self, *values: str) -> Tally:
        tally = self._tallies.get(values)
        if tally is None:
            tally = self._tallies[values] = Tally()
        return tally

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, tally in tuple(self._tallies.items()):
            family.add_metric(values, tally.count)
        yield family


connections = Gauge("plaza_connections", "Authenticated sockets", ["transport"])
sockets_opened = Tallies("plaza_sockets_opened", "Sockets opened, authenticated or not").labels()
sockets_closed = Tallies("plaza_sockets_closed", "Sockets closed, by reason", ["reason"])
commands = Tallies("plaza_commands", "Socket commands, by name and outcome", ["command", "outcome"])
ack_seconds = Histogram("plaza_ack_seconds", "From packet to ack", ["command"], buckets=_FAST)
requests = Counter("plaza_http_requests", "HTTP requests", ["method", "route", "status"])
request_seconds = Histogram("plaza_http_seconds", "HTTP request time", ["route"], buckets=_FAST)

actors = Gauge("plaza_actors", "Live actors", ["kind"])
actor_failures = Counter("plaza_actor_failures", "Actors replaced after a bug", ["kind"])
mailbox_depth = Histogram(
    "plaza_mailbox_depth", "Waiting messages when one arrives", ["kind"], buckets=_SIZES
)
mailbox_overflows = Counter("plaza_mailbox_overflows", "Messages refused by a full mailbox", ["kind"])

commit_size = Histogram("plaza_group_commit_size", "Entries stored by one insert", ["log"], buckets=_SIZES)
commit_seconds = Histogram("plaza_group_commit_seconds", "Time of one group commit", ["log"], buckets=_FAST)
commit_collisions = Counter(
    "plaza_group_commit_collisions", "Commits that met a taken position or key", ["log"]
)
commit_waiting = Gauge("plaza_group_commit_waiting", "Entries waiting to be stored", ["log"])

deliveries = Tallies("plaza_fanout_deliveries", "Publications written to sockets").labels()
dropped = Counter("plaza_fanout_dropped", "Ephemeral publications dropped for slow sockets")
slow_consumers = Counter("plaza_slow_consumers", "Sockets closed because they did not read")
stream_gaps = Counter("plaza_stream_gaps", "Gaps seen in live streams and filled from the database")
healed = Counter("plaza_stream_healed", "Entries delivered from the database after the bus lost them")

bus_up = Gauge("plaza_bus_up", "1 while this node hears its own canary on the bus")
bus_published = Counter("plaza_bus_published", "Publications handed to the bus")
bus_received = Counter("plaza_bus_received", "Publications heard on the bus from other nodes")
bus_shards = Gauge("plaza_bus_shards", "Shards of the bus that this node hears")
bus_heals = Counter("plaza_bus_heals", "Looks at the database because the bus may have lost something")
bus_lost = Counter("plaza_bus_lost", "Publications the bus could not take", ["why"])

pushes = Counter("plaza_pushes", "Phone pushes, by platform and outcome", ["platform", "outcome"])
push_down = Gauge("plaza_push_down", "1 while a provider is left in peace after failures", ["platform"])

loop_lag = Histogram("plaza_loop_lag_seconds", "How late the event loop is", buckets=_FAST)
turned_away = Counter("plaza_turned_away", "Sockets that were not admitted", ["why"])
rate_limited = Counter("plaza_rate_limited", "Requests and commands over a budget", ["budget"])
hash_waiting = Gauge("plaza_password_hashes_waiting", "Password hashes waiting for the pool")
