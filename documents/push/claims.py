"""Sending what is in the outbox: who takes a delivery has it until their lease ends, and nobody else does.

Every end of a claim is one conditional update: it changes nothing once the claim is another's, and leaves a
delivery due at once when a newer note, or a dismissal, came while it was being sent.
"""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from pydantic import ValidationError
from pymongo import ASCENDING

from common.ids import Id, new_id
from documents.push.deliveries import PushDelivery, seconds_from_now
from documents.push.devices import Platform
from documents.rows import Raw, rows

log = structlog.get_logger(__name__)

_ATTEMPTS: Raw = {"$convert": {"input": "$attempts", "to": "int", "onError": 0, "onNull": 0}}
"""Whatever stands there: one bad document must not fail the update of all."""
_IS_DUE: Raw = {"state": "waiting", "$expr": {"$lte": ["$due_at", "$$NOW"]}}


class Claims:
    """What this node sends now."""

    @classmethod
    async def take(cls, platform: Platform, count: int, lease: float) -> list[PushDelivery]:
        """Take at most `count` that are due; each goes to exactly one caller."""
        due = {"platform": platform, **_IS_DUE}
        found = rows(PushDelivery).find(due, {"_id": 1}).sort("due_at", ASCENDING).limit(count)
        return await cls._take([raw["_id"] for raw in await found.to_list()], lease)

    @classmethod
    async def take_removals(cls, device_ids: Collection[Id], count: int, lease: float) -> list[PushDelivery]:
        """Take what else is to be removed from these devices, so that one push can remove it all."""
        where = {"device_id": {"$in": list(device_ids)}, "taken_back": True, **_IS_DUE}
        found = rows(PushDelivery).find(where, {"_id": 1}).limit(count)
        return await cls._take([raw["_id"] for raw in await found.to_list()], lease)

    @classmethod
    async def _take(cls, ids: list[Id], lease: float) -> list[PushDelivery]:
        if not ids:
            return []
        claim = new_id()
        taken = {
            "claim": claim,
            "due_at": seconds_from_now(lease),
            "attempts": {"$add": [_ATTEMPTS, 1]},
            "was_tried": "$tried",
            "tried": True,
        }
        await rows(PushDelivery).update_many({"_id": {"$in": ids}, **_IS_DUE}, [{"$set": taken}])
        found = await rows(PushDelivery).find({"_id": {"$in": ids}, "claim": claim}).to_list()
        return [delivery for raw in found if (delivery := await cls._read(raw)) is not None]

    @classmethod
    async def _read(cls, raw: Raw) -> PushDelivery | None:
        """The delivery; what is none dies here, so that it stops nothing else."""
        try:
            return PushDelivery.model_validate(raw)
        except ValidationError:
            log.error("push_outbox_broken", delivery_id=str(raw["_id"]))
            dead = {"state": "dead", "why": "broken", "claim": None}
            await rows(PushDelivery).update_one({"_id": raw["_id"]}, {"$set": dead})
            return None

    @classmethod
    async def shown(cls, delivery: PushDelivery, keep: float) -> bool:
        """The device has it, and may be asked to remove it within `keep` seconds."""
        done = {"state": "shown", "content": None, "expires_at": seconds_from_now(keep)}
        return await cls._end(delivery, done)

    @classmethod
    async def later(cls, delivery: PushDelivery, seconds: float, *, reached: bool, counts: bool) -> bool:
        """Try again after `seconds`. `reached`: the device may have it; `counts`: that was an attempt."""
        attempts = "$attempts" if counts else {"$max": [0, {"$subtract": ["$attempts", 1]}]}
        again = {"due_at": seconds_from_now(seconds), "attempts": attempts}
        return await cls._end(delivery, again, reached=reached)

    @classmethod
    async def died(cls, delivery: PushDelivery, why: str, keep: float, *, reached: bool = False) -> bool:
        """Leave it alone from now on; it is kept for `keep` seconds, to be looked at."""
        dead = {"state": "dead", "why": {"$literal": why}, "expires_at": seconds_from_now(keep)}
        return await cls._end(delivery, dead, reached=reached)

    @classmethod
    async def dropped(cls, delivery: PushDelivery) -> None:
        """It need not be sent; what the device shows of an older note stays known."""
        unseen = {**_as_taken(delivery), "was_tried": False}
        if not (await rows(PushDelivery).delete_one(unseen)).deleted_count:
            await cls._end(delivery, {"state": "shown", "content": None}, reached=False)

    @classmethod
    async def removed(cls, delivery: PushDelivery) -> None:
        """The device does not show it any more, or there is no such device."""
        if not (await rows(PushDelivery).delete_one(_as_taken(delivery))).deleted_count:
            await cls._end(delivery, {})

    @classmethod
    async def _end(cls, delivery: PushDelivery, changes: Mapping[str, Any], *, reached: bool = True) -> bool:
        """End a claim: with `changes` if the delivery is as it was taken, else due at once."""
        as_taken = _as_taken(delivery)
        same = {"$and": [{"$eq": [f"${name}", as_taken[name]]} for name in ("mark", "taken_back")]}
        wanted: Raw = {"due_at": "$$NOW", **changes}
        end: Raw = {
            name: {"$cond": [same, value, "$$NOW" if name == "due_at" else f"${name}"]}
            for name, value in wanted.items()
        }
        end |= {"claim": None, "tried": {"$or": [reached, "$was_tried"]}}
        ours = {"_id": delivery.id, "claim": delivery.claim}
        result = await rows(PushDelivery).update_one(ours, [{"$set": end}])
        return result.modified_count == 1


def _as_taken(delivery: PushDelivery) -> Raw:
    """The delivery, as long as it is ours and nothing has changed about it."""
    return {"_id": delivery.id, **delivery.model_dump(include={"claim", "mark", "taken_back"})}
