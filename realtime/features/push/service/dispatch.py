"""One attempt to send, and what follows from its outcome."""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime

import structlog

from common import metrics
from common.clock import now
from common.settings import Push as PushSettings
from documents.push import Claims, PushDelivery, PushDevice
from realtime.features.push.rules.notes import pause
from realtime.features.push.schemas import Down, Gone, Later, Outcome, Platform, Push, Refused, Removal, Sent
from realtime.features.push.service.circuit import Circuit, Circuits
from realtime.features.push.service.sorting import Errand, Sorting

log = structlog.get_logger(__name__)

MAX_WAIT = 3600.0
CROWDED = 1.0
KEEP_SHOWN = 14 * 86_400.0
"""Seconds for which we know what a device shows, and can have it removed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An errand under way, whether it tries out a server that failed, and until when nobody else has it."""

    errand: Errand
    is_trial: bool
    ends: float


class Dispatch:
    """Asks the provider within a deadline, and writes down what came of it."""

    def __init__(self, platform: Platform, push: Push, sorting: Sorting, settings: PushSettings) -> None:
        self._platform, self._push, self._sorting, self._settings = platform, push, sorting, settings
        self._circuits = Circuits(settings.failures, settings.pause)

    def room(self, free: int) -> int:
        """How many of `free` deliveries make sense now: none while the only server is being left in peace."""
        sole = self._push.sole_origin
        return free if sole is None else self._circuits.of(sole).room(free)

    async def send(self, errand: Errand, ends: float) -> None:
        """Send unless the server is being left in peace; then the errand waits, which is no attempt."""
        circuit = self._circuits.of(self._push.origin(errand.target))
        is_trial = circuit.is_open
        if self._is_crowded(circuit) or not circuit.begin():
            await self._put_off(errand, circuit)
            return
        try:
            await self._attempt(Attempt(errand, is_trial, ends), circuit)
        finally:
            circuit.end()

    def _is_crowded(self, circuit: Circuit) -> bool:
        """Of many servers, one that hangs must not hold up the others."""
        return self._push.sole_origin is None and circuit.busy >= max(1, self._settings.at_once // 4)

    async def _attempt(self, attempt: Attempt, circuit: Circuit) -> None:
        began = now()
        if asyncio.get_running_loop().time() > attempt.ends - self._settings.deadline:
            return  # this process was held up: by the time of an answer it would be somebody else's
        outcome = await self._ask(attempt.errand)
        _tell(circuit, outcome)
        if self._push.sole_origin is not None:
            metrics.push_down.labels(self._platform).set(circuit.is_open)
        metrics.pushes.labels(self._platform, type(outcome).__name__.lower()).inc()
        match outcome:
            case Sent():
                await self._done(attempt.errand)
            case Gone(since=since):
                await self._forget(attempt, began if since is None else min(since, began))
            case Refused(why=why):
                await self._bury(attempt.errand, why)
            case Later():
                await self._again(attempt, outcome)
            case Down(why=why):
                log.warning("push_provider_down", platform=self._platform, why=why)
                await self._put_off(attempt.errand, circuit)

    async def _ask(self, errand: Errand) -> Outcome:
        try:
            async with asyncio.timeout(self._settings.deadline):
                return await self._push.send(errand.target, errand.parcel)
        except TimeoutError:
            return Later("timeout", reached=True, wide=True)
        except Exception as error:  # a bug, or a note that is poison: its attempts are counted
            log.error("push_attempt_broke", platform=self._platform, error=type(error).__name__)
            return Later("broken", reached=True)

    # -- what follows

    async def _done(self, errand: Errand) -> None:
        for one in errand.deliveries:
            if isinstance(errand.parcel, Removal):
                await Claims.removed(one)
            else:
                await Claims.shown(one, KEEP_SHOWN)

    async def _forget(self, attempt: Attempt, since: datetime) -> None:
        """Forget the device, unless it made itself known again meanwhile."""
        device = attempt.errand.device
        if await PushDevice.remove(device.id, device.user_id, unless_seen_after=since):
            log.info("push_device_gone", platform=self._platform, device_id=device.id)
            await PushDelivery.forget_devices([device.id])
        else:
            await self._again(attempt, Later("gone"))

    async def _bury(self, errand: Errand, why: str) -> None:
        log.warning("push_refused", platform=self._platform, device_id=errand.device.id, why=why)
        for one in errand.deliveries:
            await self._sorting.bury(one, why)

    async def _again(self, attempt: Attempt, outcome: Later) -> None:
        for one in attempt.errand.deliveries:
            if not attempt.is_trial and one.attempts >= self._settings.attempts:
                await self._sorting.bury(one, outcome.why, reached=outcome.reached)
                continue
            wait = max(min(outcome.retry_after or 0.0, MAX_WAIT), pause(one.attempts, self._settings.backoff))
            await Claims.later(one, wait, reached=outcome.reached, counts=not attempt.is_trial)

    async def _put_off(self, errand: Errand, circuit: Circuit) -> None:
        seconds = (circuit.seconds_left or CROWDED) * random.uniform(1.0, 1.2)  # noqa: S311  (jitter)
        for one in errand.deliveries:
            await Claims.later(one, seconds, reached=False, counts=False)


def _tell(circuit: Circuit, outcome: Outcome) -> None:
    match outcome:
        case Down(retry_after=seconds):
            circuit.failed(seconds, at_once=True)
        case Later(wide=True, retry_after=seconds):
            circuit.failed(seconds)
        case _:
            circuit.worked()
