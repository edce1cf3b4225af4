"""Handles that nobody else can have: one's own, and for a while the ones that one has given up.

A person's document lists them as claims, each way of writing and each way of drawing one; a unique index over
the claims of everybody decides who gets a name.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

Expression = dict[str, Any]


class HeldHandle(BaseModel):
    """A handle of before, kept for its owner until then."""

    key: str
    skeleton: str
    until: datetime


def claims_of(key: str, skeleton: str, held: Sequence[HeldHandle] = ()) -> list[str]:
    """All that nobody else can be called."""
    names = [(key, skeleton), *((one.key, one.skeleton) for one in held)]
    return list(dict.fromkeys(claim for name in names for claim in _claims(*name)))


def _claims(key: str, skeleton: str) -> tuple[str, str]:
    return f"key:{key}", f"skeleton:{skeleton}"


def held_then(at: datetime) -> list[Expression]:
    """The update that lets go of what is held no longer at that time."""
    held = {"$filter": {"input": "$held_handles", "cond": {"$gt": ["$$this.until", at]}}}
    others = {
        "$reduce": {
            "input": "$held_handles",
            "initialValue": _written("$handle_key", "$handle_skeleton"),
            "in": {"$setUnion": ["$$value", _written("$$this.key", "$$this.skeleton")]},
        }
    }
    return [{"$set": {"held_handles": held}}, {"$set": {"handle_claims": others}}]


def _written(key: str, skeleton: str) -> list[Expression]:
    return [{"$concat": ["key:", key]}, {"$concat": ["skeleton:", skeleton]}]
