"""Uploads whose files are being moved to another storage: one mover each, for as long as it says so."""

from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, ReturnDocument

from common.clock import now
from common.ids import Id
from documents.media.uploads import Media, StorageType
from documents.rows import Raw, rows


class Moves:
    """Claims on uploads that are `ready`. Who holds none changes nothing, and removes nothing."""

    @staticmethod
    async def waiting(
        target: StorageType, sources: list[StorageType], after: Id, limit: int
    ) -> list[tuple[Id, bool]]:
        """Uploads with files elsewhere, or with a move that broke off; and whether somebody is at it now."""
        elsewhere = {"files.storage_type": {"$in": [kind for kind in sources if kind != target]}}
        where: Raw = {"state": "ready", "_id": {"$gt": after}, "$or": [elsewhere, {"mover": {"$ne": None}}]}
        shown = {"_id": 1, "moving_until": 1}
        found = await rows(Media).find(where, shown).sort("_id", ASCENDING).limit(limit).to_list()
        moment = now()
        return [(raw["_id"], (raw.get("moving_until") or moment) > moment) for raw in found]

    @staticmethod
    async def claim(media_id: Id, mover: Id, seconds: float) -> Media | None:
        """Become the one who moves it; as it was before. None while somebody else is, or when it is gone."""
        free: list[Raw] = [{"mover": None}, {"moving_until": {"$lte": now()}}]
        found = await rows(Media).find_one_and_update(
            {"_id": media_id, "state": "ready", "$or": free},
            {"$set": {"mover": mover, "moving_until": _in(seconds)}},
            return_document=ReturnDocument.BEFORE,
        )
        return Media.model_validate(found) if found else None

    @staticmethod
    async def renew(media_id: Id, mover: Id, seconds: float) -> bool:
        """Go on with it; False for who has lost it, or whose upload is gone."""
        where: Raw = {"_id": media_id, "mover": mover, "state": "ready"}
        result = await rows(Media).update_one(where, {"$set": {"moving_until": _in(seconds)}})
        return result.matched_count == 1

    @staticmethod
    async def switch(media_id: Id, mover: Id, key: str, *, source: StorageType, target: StorageType) -> bool:
        """From now on its file of that key is read from `target`: one write, or nothing happens."""
        where: dict[str, Any] = {
            "_id": media_id,
            "mover": mover,
            "state": "ready",
            "files": {"$elemMatch": {"key": key, "storage_type": source}},
        }
        result = await rows(Media).update_one(where, {"$set": {"files.$.storage_type": target}})
        return result.modified_count == 1

    @staticmethod
    async def release(media_id: Id, mover: Id) -> None:
        """Nothing of it is anywhere but where it says."""
        change = {"$set": {"mover": None, "moving_until": None}}
        await rows(Media).update_one({"_id": media_id, "mover": mover}, change)

    @staticmethod
    async def interrupt(media_id: Id, mover: Id) -> None:
        """Let somebody else go on with it, who knows that something was begun."""
        await rows(Media).update_one({"_id": media_id, "mover": mover}, {"$set": {"moving_until": now()}})

    @staticmethod
    async def unsettled(target: StorageType) -> int:
        """Videos that are being cut: their files are moved by a later run."""
        where: Raw = {"state": "processing", "files.storage_type": {"$ne": target}}
        return await rows(Media).count_documents(where)


def _in(seconds: float) -> datetime:
    return now() + timedelta(seconds=seconds)
