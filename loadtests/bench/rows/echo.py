# pyright: strict
"""A command that does nothing and its ack, from 100 clients at once."""

from dataclasses import dataclass

from loadtests.bench.rounds import Bench, Row, compare

CLIENTS = 100


@dataclass(frozen=True)
class Echo:
    """Each client asks again as soon as it is answered."""

    topic: str = "echo"

    async def run(self, bench: Bench) -> None:
        crowd = await bench.population.crowd(CLIENTS)
        asked = ["echo", "--body", '["ping",{}]', "--ok", "--spin", "--warmup", "0.7"]
        row = Row("echo", [*asked, "--duration", str(bench.pace.seconds)], once=frozenset({"stock"}))
        await compare(bench, crowd, [row], ("plaza", "node", "limit", "stock"))
