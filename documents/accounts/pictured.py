"""Which pictures people show of themselves."""

from collections.abc import Sequence
from typing import NamedTuple

from pymongo import ASCENDING

from common.ids import Id
from documents.accounts.users import User
from documents.rows import Raw, rows

_FIELDS = {"avatar": 1, "cover_photo": 1}


class Pictured(NamedTuple):
    """Somebody, and the addresses of their pictures."""

    id: Id
    avatar: str | None
    cover_photo: str | None

    @staticmethod
    async def of(ids: Sequence[Id]) -> "list[Pictured]":
        return [_made(raw) for raw in await rows(User).find({"_id": {"$in": list(ids)}}, _FIELDS).to_list()]

    @staticmethod
    async def after(last: Id, limit: int) -> "list[Pictured]":
        """Everybody, a part at a time."""
        found = rows(User).find({"_id": {"$gt": last}}, _FIELDS).sort("_id", ASCENDING).limit(limit)
        return [_made(raw) for raw in await found.to_list()]


def _made(raw: Raw) -> Pictured:
    return Pictured(raw["_id"], raw.get("avatar"), raw.get("cover_photo"))
