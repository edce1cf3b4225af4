# pyright: strict
"""One says, all hear: frames one by one, frames in bursts, at a fixed rate, and messages that are stored."""

from dataclasses import dataclass

from loadtests.bench.population import Crowd
from loadtests.bench.rounds import Bench, Row, compare
from loadtests.bench.subjects import Name

MOST_MEMBERS = 5000
PER_SECOND = 50
MESSAGE_BYTES = 100
TIMES = ("--warmup", "0.7", "--drain", "15")


@dataclass(frozen=True)
class Fanout:
    """A group with this many listening connections beside the one that publishes."""

    listeners: int
    burst: int
    """Broadcasts under way at once in the bursts row."""
    latency: bool = False
    messages: bool = False
    rounds: int = 3
    topic: str = "fanout"

    async def run(self, bench: Bench) -> None:
        crowd = await bench.population.crowd(
            self.listeners + 1, members=min(self.listeners + 1, MOST_MEMBERS)
        )
        rows = self._rows(crowd, bench.pace.seconds)
        await compare(bench, crowd, rows, ("plaza", "node", "limit", "stock"), self.rounds)
        await compare(bench, crowd, self._more(crowd, bench.pace.seconds), ("plaza", "node", "limit"))

    def _rows(self, crowd: Crowd, seconds: float) -> list[Row]:
        """Stock python-socketio is far behind and slow to measure: once is enough."""
        once, said = frozenset[Name]({"stock"}), typing(crowd, seconds)
        return [
            Row(f"fanout {self.listeners}", [*said, "--window", "1", "--spin"], once),
            Row(f"bursts {self.listeners}", [*said, "--window", str(self.burst), "--spin"], once),
        ]

    def _more(self, crowd: Crowd, seconds: float) -> list[Row]:
        """At a fixed rate; and messages, while which the generator leaves some of its core to MongoDB."""
        rows: list[Row] = []
        if self.latency:
            at_rate = [*typing(crowd, 2 * seconds), "--rate", str(PER_SECOND)]
            rows.append(Row(f"at {PER_SECOND}/s {self.listeners}", at_rate))
        if self.messages:
            rows.append(Row(f"messages {self.listeners}", [*message(crowd, seconds), "--window", "1"]))
        return rows


def typing(crowd: Crowd, seconds: float) -> list[str]:
    """The ephemeral broadcast: somebody types, everybody else in the conversation is told."""
    body = f'["typing",{{"conversationId":"{crowd.conversation}","isTyping":true}}]'
    heard = ["--deaf", "--counted", "--event", "typing_indicator"]
    return ["fanout", *heard, *TIMES, "--body", body, "--duration", str(seconds)]


def message(crowd: Crowd, seconds: float, size: int = MESSAGE_BYTES) -> list[str]:
    """The stored one: a message, acknowledged once the majority of the replica set has it."""
    place = f'"conversationId":"{crowd.conversation}"'
    body = f'["send_message",{{{place},"text":"%T","clientId":"bench-%R-%S"}}]'
    heard = ["--deaf", "--event", "new_message", "--ack", "--ok", "--payload", str(size)]
    return ["fanout", *heard, *TIMES, "--body", body, "--duration", str(seconds)]
