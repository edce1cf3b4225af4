"""A reconnect storm (`make storm`): ten thousand clients lose their connection in the same moment.

`kill`: two processes, one with the herd, the other with people who talk; the first is killed (`kill -9`), and
the herd comes to the second. `cut`: one process with all of them; the herd loses its network. Measured is how
long it takes until everybody is back, and what those who talk notice of it.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import aiohttp

from loadtests.bench.machine import raise_descriptors
from loadtests.cpu import OTHERS, Cpu
from loadtests.population import Wish, populate
from loadtests.report import milliseconds, percentile, table
from loadtests.server import WIDE, Rig, run_orderly
from loadtests.storm_herd import Count, Herding, Manners
from loadtests.storm_lines import lines_in_a_minute
from loadtests.storm_pulse import Pulse
from loadtests.storm_reins import Reins

SETTINGS = {"PLAZA_LOG_LEVEL": "info", "PLAZA_LIMITS__UNAUTHENTICATED_PER_ADDRESS": "50"}
MOST_BACK, MOST_P99, MOST_LINES, MOST_ATTEMPTS = 60.0, 1.0, 1000, 2.0
GIVE_UP = 180.0
NOISY = 0.3
"""The share of a core that strangers may use."""
GROUP = 50
WATCHED_EVERY = 2.0

Rows = list[tuple[str, object]]


@dataclass(frozen=True)
class Plan:
    """One storm."""

    how: Literal["kill", "cut"] = "kill"
    herd: int = 10_000
    others: int = 1000
    rate: float = 100.0
    manners: Manners = "good"
    spread: float = 5.0
    calm: float = 10.0
    """Seconds of talk before the storm."""
    after: float = 3.0
    settings: dict[str, str] = field(default_factory=dict[str, str])
    watch: bool = False


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    back_after: float = 0.0
    count: Count = field(default_factory=Count)
    before: list[float] = field(default_factory=list[float])
    during: list[float] = field(default_factory=list[float])
    unanswered: int = 0
    lost_sockets: int = 0
    log_lines: int = 0
    cpu: dict[str, float] = field(default_factory=dict[str, float])
    server_errors: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])
    """Promises that hold on any machine: who comes back, what is lost, what is answered."""

    @property
    def slow(self) -> list[str]:
        """Promises about time, which a busy machine breaks as well."""
        p99 = percentile(self.during, 0.99)
        checks = {
            f"everybody is back within {MOST_BACK:.0f} s": self.back_after <= MOST_BACK,
            f"ack p99 of the others is at most {milliseconds(MOST_P99)}": p99 <= MOST_P99,
        }
        return [promise for promise, is_kept in checks.items() if not is_kept]


async def run(plan: Plan) -> Outcome:
    """One storm on a rig of its own."""
    async with Rig(nodes=2 if plan.how == "kill" else 1, settings={**SETTINGS, **plan.settings}) as rig:
        wish = Wish(
            mongo_url=rig.engines.mongo_url,
            database="load",
            secret=WIDE["PLAZA_JWT_SECRET"],
            people=plan.herd + plan.others,
            group=GROUP,
        )
        people = (await populate(wish)).accounts
        tokens = [person.token for person in people[: plan.herd]]
        herding = Herding(urls=rig.urls, tokens=tokens, manners=plan.manners, spread=plan.spread)
        async with Reins(herding) as reins:
            pulse = Pulse(rig.urls[-1], people[plan.herd :])
            try:
                return await _Storm(plan, rig, reins, pulse).run()
            finally:
                pulse.close()


class _Storm:
    """One run, phase by phase."""

    def __init__(self, plan: Plan, rig: Rig, reins: Reins, pulse: Pulse) -> None:
        self._plan, self._rig, self._reins, self._pulse = plan, rig, reins, pulse
        self._outcome = Outcome(plan)

    async def run(self) -> Outcome:
        plan, pulse, outcome = self._plan, self._pulse, self._outcome
        watching = asyncio.create_task(self._watch()) if plan.watch else None
        await self._reins.until(lambda count: count.connected == plan.herd, GIVE_UP)
        await pulse.connect()
        await pulse.greet()
        beating = asyncio.create_task(pulse.beat(plan.rate))
        try:
            calm = time.perf_counter()
            await asyncio.sleep(plan.calm)
            storm = time.perf_counter()
            await self._break_loose()
            over = time.perf_counter()
            await asyncio.sleep(plan.after)
        finally:
            for task in (beating, watching):
                if task is not None:
                    task.cancel()
        await pulse.settle()
        outcome.before, outcome.during = pulse.latencies(calm, storm), pulse.latencies(storm, over)
        outcome.unanswered, outcome.lost_sockets = len(pulse.waiting), pulse.lost_sockets
        await self._judge()
        return outcome

    async def _break_loose(self) -> None:
        """The storm, until everybody is back."""
        began, outcome, herd = time.time(), self._outcome, self._plan.herd
        cpu = Cpu(self._pids())
        if self._plan.how == "kill":
            await self._reins.say("begin")
            await self._rig.nodes[0].kill()
        else:
            await self._reins.say("cut")

        def all_back(count: Count) -> bool:
            return count.returned >= herd and count.connected == herd

        try:
            await self._reins.until(all_back, GIVE_UP)
        except TimeoutError:
            missing = herd - self._reins.count.connected
            outcome.broken.append(f"{missing} of the herd did not come back within {GIVE_UP:.0f} s")
        outcome.cpu = cpu.shares()
        outcome.count = self._reins.count.model_copy()
        outcome.back_after = outcome.count.at - began

    def _pids(self) -> dict[str, int]:
        rig = self._rig
        ours = {"those who talk": os.getpid(), "herd": self._reins.pid}
        return {"server": rig.nodes[-1].pid, "mongod": rig.engines.mongo_pid, **ours}

    async def _watch(self) -> None:
        """Tell how it goes."""
        started = time.perf_counter()
        while True:
            await asyncio.sleep(WATCHED_EVERY)
            now, count = time.perf_counter(), self._reins.count
            lately = percentile(self._pulse.latencies(now - WATCHED_EVERY, now), 0.99)
            waiting = len(self._pulse.waiting)
            print(
                f"{now - started:5.0f} s  connected {count.connected:6}  turned away {count.turned_away:6}"
                f"  failed {count.failed:5}  ack p99 {milliseconds(lately)}, waiting {waiting}",
                file=sys.stderr,
            )

    async def _judge(self) -> None:
        outcome, pulse = self._outcome, self._pulse
        async with aiohttp.ClientSession() as http:
            wrong = await pulse.recount(http)
        node = self._rig.nodes[-1]
        outcome.log_lines = lines_in_a_minute(node.said(100_000_000))
        outcome.server_errors = node.errors()
        checks = {
            "acknowledged and stored differ: " + "; ".join(wrong[:3]): not wrong,
            f"{outcome.unanswered} messages were not answered": not outcome.unanswered,
            f"{len(pulse.refused)} messages were refused: {pulse.refused[:1]}": not pulse.refused,
            f"{outcome.lost_sockets} of those who talked lost their socket": not outcome.lost_sockets,
            f"turned away otherwise than to come later: {outcome.count.unmannerly}": (
                not outcome.count.unmannerly
            ),
            f"{outcome.log_lines} log lines in a minute": outcome.log_lines <= MOST_LINES,
            f"errors in the log: {outcome.server_errors[:3]}": not outcome.server_errors,
        }
        outcome.broken += [promise for promise, is_kept in checks.items() if not is_kept]


def rows_of(outcome: Outcome) -> Rows:
    """What the table shows."""
    plan, count = outcome.plan, outcome.count
    return [
        ("storm, manners", f"{plan.how}, {plan.manners}"),
        ("herd, others", f"{plan.herd:,}, {plan.others:,} at {plan.rate:.0f} messages/s"),
        ("everybody back after", f"{outcome.back_after:.1f} s"),
        ("attempts for each", f"{count.attempts / plan.herd:.2f}"),
        ("turned away, failed", f"{count.turned_away:,}, {count.failed:,}"),
        ("others, before: ack p50 · p99 · max", _tail(outcome.before)),
        ("others, during: ack p50 · p99 · max", _tail(outcome.during)),
        ("messages during", len(outcome.during)),
        ("unanswered, sockets lost", f"{outcome.unanswered}, {outcome.lost_sockets}"),
        ("most log lines in a minute", outcome.log_lines),
        ("CPU during", ", ".join(f"{name} {share:.0%}" for name, share in outcome.cpu.items())),
    ]


def _tail(latencies: Sequence[float]) -> str:
    return " · ".join(milliseconds(percentile(latencies, share)) for share in (0.5, 0.99, 1.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every promise was kept."""
    options = argparse.ArgumentParser(prog="python -m loadtests.storm", description=__doc__)
    plan = Plan()
    options.add_argument("--how", choices=("kill", "cut"), default=plan.how)
    options.add_argument("--herd", type=int, default=plan.herd)
    options.add_argument("--others", type=int, default=plan.others)
    options.add_argument("--rate", type=float, default=plan.rate, help="messages per second of the others")
    options.add_argument("--manners", choices=("good", "stock", "rude"), default=plan.manners)
    options.add_argument("--spread", type=float, default=plan.spread, help="first jitter of good manners")
    options.add_argument("--watch", action="store_true", help="tell how it goes meanwhile")
    raise_descriptors()
    outcome = run_orderly(run(Plan(**vars(options.parse_args(arguments)))))
    print(table("Reconnect storm", rows_of(outcome)))
    broken = [*outcome.broken, *outcome.slow]
    if outcome.cpu.get(OTHERS, 0.0) > NOISY:
        print("NOISY: other programs were busy meanwhile; what is said about time says little")
    for promise in broken:
        print(f"BROKEN: {promise}")
    print("broken" if broken else "every promise was kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
