"""Uploads as `media fsck` compares and mends them. Every change is made only to what it was decided about."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from pymongo import ASCENDING

from common.clock import now
from common.ids import Id
from documents.media.arriving import Arriving
from documents.media.pictures import UserImage
from documents.media.uploads import VISIBLE, Media, MediaFile
from documents.rows import Raw, rows

PAGE = 200


class Mends:
    """Changes to one upload, if it is still as it was found."""

    @staticmethod
    async def lose(media: Media) -> bool:
        """Its main file is gone: nobody sees it any more, and a sweep removes the rest."""
        gone = {"$set": {"state": "deleted", "changed_at": now()}}
        return await _change(media, {"state": {"$in": list(VISIBLE)}}, gone)

    @staticmethod
    async def settle_without_source(media: Media) -> bool:
        """What was to be cut is gone, but there is a video to show."""
        change = {"$set": {"state": "ready", "source": None, "leased_until": None, "changed_at": now()}}
        return await _change(media, {"state": "processing"}, change)

    @staticmethod
    async def keep_files(media: Media, files: Sequence[MediaFile]) -> bool:
        """It has no files but these."""
        kept = [file.model_dump() for file in files]
        size = sum(file.size for file in files)
        return await _change(media, {"state": "ready"}, {"$set": {"files": kept, "size": size}})

    @staticmethod
    async def count(media: Media, size: int) -> bool:
        """What it takes of its owner's room."""
        return await _change(media, {"state": "ready", "size": media.size}, {"$set": {"size": size}})

    @staticmethod
    async def drop_refs(media_id: Id, refs: Sequence[str], before: datetime) -> bool:
        """These things do not show it, whatever it says; unless something has been attached since then."""
        where: Raw = {"_id": media_id, "refs": {"$in": list(refs)}, "changed_at": {"$lt": before}}
        change: Raw = {"$pull": {"refs": {"$in": list(refs)}}, "$set": {"changed_at": now()}}
        return (await rows(Media).update_one(where, change)).modified_count == 1


async def _change(media: Media, where: Raw, change: Raw) -> bool:
    """Apply a change if its files are those that were looked at, in the same places."""
    same = [{"key": file.key, "storage_type": file.storage_type} for file in media.files]
    files: Raw = {"files": {"$size": len(same), "$all": [{"$elemMatch": one} for one in same]}}
    seen: Raw = files if same else {"files": []}
    result = await rows(Media).update_one({"_id": media.id, **seen, **where}, change)
    return result.modified_count == 1


class Pages:
    """Everything of a kind, a part at a time."""

    @staticmethod
    async def media() -> AsyncIterator[list[Media]]:
        after = ""
        while page := await Media.everything(after, PAGE):
            yield page
            after = page[-1].id

    @staticmethod
    async def pictures() -> AsyncIterator[list[UserImage]]:
        after = ""
        while True:
            where: Raw = {"_id": {"$gt": after}}
            found = await rows(UserImage).find(where).sort("_id", ASCENDING).limit(PAGE).to_list()
            if not found:
                return
            yield [UserImage.model_validate(raw) for raw in found]
            after = found[-1]["_id"]

    @staticmethod
    async def pictures_of(ids: Sequence[Id]) -> list[UserImage]:
        found = await rows(UserImage).find({"_id": {"$in": list(ids)}}).to_list()
        return [UserImage.model_validate(raw) for raw in found]

    @staticmethod
    async def arriving(ids: Sequence[Id]) -> set[Id]:
        """Those of these uploads that are under way."""
        found = rows(Arriving).find({"_id": {"$in": list(ids)}}, {"_id": 1})
        return {raw["_id"] for raw in await found.to_list()}

    @staticmethod
    async def again(media_id: Id) -> Media | None:
        """An upload as it is now, whatever its state."""
        found = await rows(Media).find_one({"_id": media_id})
        return Media.model_validate(found) if found else None
