# pyright: strict
"""A command that does nothing and its ack, from 100 clients at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.bench.results import of_traffic
from loadtests.bench.rounds import Bench
from loadtests.bench.subjects import Name

CLIENTS = 100


@dataclass(frozen=True)
class Echo:
    """Each client asks again as soon as it is answered."""

    topic: str = "echo"

    def subjects(self, number: int) -> Sequence[Name]:
        return ("plaza", "node", "limit", "stock") if number == 0 else ("plaza", "node", "limit")

    async def run(self, bench: Bench, name: Name) -> None:
        crowd = await bench.population.crowd(CLIENTS)
        asked = ["echo", "--body", '["ping",{}]', "--ok", "--spin", "--warmup", "0.7"]
        async with bench.serving(name) as running:
            load = await bench.load(running, crowd, [*asked, "--duration", str(bench.pace.seconds)])
            bench.note("echo", name, of_traffic(load))
