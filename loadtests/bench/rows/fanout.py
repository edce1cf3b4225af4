# pyright: strict
"""One says, all hear: frames one by one, frames in bursts, at a fixed rate, and messages that are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.bench.population import Crowd
from loadtests.bench.results import of_traffic
from loadtests.bench.rounds import Bench
from loadtests.bench.subjects import Name

MOST_MEMBERS = 5000
PER_SECOND = 50
MESSAGE_BYTES = 100


@dataclass(frozen=True)
class Fanout:
    """A group with this many listening connections beside the one that publishes."""

    listeners: int
    burst: int
    """Broadcasts under way at once in the bursts row."""
    latency: bool = False
    messages: bool = False
    topic: str = "fanout"

    def subjects(self, number: int) -> Sequence[Name]:
        """Stock python-socketio is far behind and slow to measure: once is enough."""
        return ("plaza", "node", "limit", "stock") if number == 0 else ("plaza", "node", "limit")

    async def run(self, bench: Bench, name: Name) -> None:
        crowd = await bench.population.crowd(
            self.listeners + 1, members=min(self.listeners + 1, MOST_MEMBERS)
        )
        seconds = bench.pace.seconds
        async with bench.serving(name) as running:
            for row, arguments in self._loads(crowd, name, seconds):
                load = await bench.load(running, crowd, arguments)
                bench.note(f"{row} {self.listeners}", name, of_traffic(load))

    def _loads(self, crowd: Crowd, name: Name, seconds: float) -> list[tuple[str, list[str]]]:
        one_by_one = typing(crowd, seconds)
        loads = [
            ("fanout", [*one_by_one, "--window", "1", "--spin"]),
            ("bursts", [*one_by_one, "--window", str(self.burst), "--spin"]),
        ]
        if self.latency and name != "stock":
            loads.append((f"at {PER_SECOND}/s", [*typing(crowd, 2 * seconds), "--rate", str(PER_SECOND)]))
        if self.messages and name != "stock":
            loads.append(("messages", [*message(crowd, seconds), "--window", "1", "--spin"]))
        return loads


def typing(crowd: Crowd, seconds: float) -> list[str]:
    """The ephemeral broadcast: somebody types, everybody else in the conversation is told."""
    body = f'["typing",{{"conversationId":"{crowd.conversation}","isTyping":true}}]'
    heard = ["--deaf", "--counted", "--event", "typing_indicator"]
    return ["fanout", *heard, "--body", body, "--warmup", "0.7", "--duration", str(seconds)]


def message(crowd: Crowd, seconds: float, size: int = MESSAGE_BYTES) -> list[str]:
    """The stored one: a message, acknowledged once the majority of the replica set has it."""
    place = f'"conversationId":"{crowd.conversation}"'
    body = f'["send_message",{{{place},"text":"%T","clientId":"bench-%R-%S"}}]'
    heard = ["--deaf", "--event", "new_message", "--ack", "--ok", "--payload", str(size)]
    return ["fanout", *heard, "--body", body, "--warmup", "0.7", "--duration", str(seconds)]
