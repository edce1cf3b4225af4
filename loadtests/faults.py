"""What is done to a running Plaza, and when."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtests.client import Client
from loadtests.server import Rig

DOWN_FOR = (0.2, 2.0)
FROZEN = 6.0
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens once this share of all messages is sent."""

    at: float
    name: str


SHORT = (
    Fault(0.2, "kill"),
    Fault(0.45, "restart redis"),
    Fault(0.65, "kill"),
)
LONG = (
    Fault(0.08, "kill"),
    Fault(0.2, "restart redis"),
    Fault(0.3, "redis away"),
    Fault(0.5, "drain"),
    Fault(0.65, "kill"),
    Fault(0.8, "freeze redis"),
)


@dataclass
class Trouble:
    """Carries out faults while the crowd talks. `log` tells what was done."""

    rig: Rig
    crowd: Sequence[Client]
    dice: random.Random
    away: float = 10.0
    log: list[str] = field(default_factory=list[str])

    async def make(self, faults: Sequence[Fault], progress: Callable[[], float]) -> None:
        """Each fault at its time, one after the other."""
        for fault in faults:
            while progress() < fault.at:
                await asyncio.sleep(POLL)
            self.log.append(f"{fault.name} at {progress():.0%}")
            await self._cause(fault.name)

    async def _cause(self, name: str) -> None:
        node, redis = self.dice.choice(self.rig.nodes), self.rig.redis
        match name:
            case "kill":
                await node.kill()
                await asyncio.sleep(self.dice.uniform(*DOWN_FOR))
                await node.start()
            case "drain":
                self.log[-1] += f", gone in {await node.drain():.1f} s"
                await node.start()
            case "restart redis" if redis is not None:
                redis.kill()
            case "redis away" if redis is not None:
                await redis.down(self.away)
            case "freeze redis" if redis is not None:
                await redis.freeze(FROZEN)
            case _:
                raise ValueError(name)

    async def lose_connections(self, every: float) -> None:
        """Cut somebody off, again and again."""
        while True:
            await asyncio.sleep(self.dice.expovariate(1 / every))
            self.dice.choice(self.crowd).cut()
