"""People as search finds them: handles by gram, read from an index alone, and the people of a few handles.

Whatever is read is bounded, and reading a list from an index costs next to nothing beside reading people: so
lists are cut with each other before anybody is read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from common.ids import Id
from documents.accounts.choices import Shown, audience
from documents.accounts.standing import active
from documents.accounts.users import User
from documents.rows import Raw, rows

_FIELDS = ("name", "handle", "avatar", "handle_key", "search_handle", "search_name", "search_text")
_SHOWN = dict.fromkeys(_FIELDS, 1)
_DESCRIBED = dict.fromkeys(("name", "handle", "avatar", "interests", "university", "settings"), 1)
_KEYS: Raw = {"handle_key": 1, "_id": 0}
_BY_GRAM = [("search_grams", 1), ("handle_key", 1)]
_LAST = "\U0010ffff"

Beginning = Literal["search_handle", "search_name"]


@dataclass(frozen=True, slots=True)
class Findable:
    """A person in a search: what is shown of them, and what they are found by."""

    id: Id
    name: str
    handle: str
    avatar: str | None
    handle_key: str
    search_handle: str
    search_name: str
    search_text: str

    @staticmethod
    async def counts(grams: Collection[str], most: int) -> dict[str, int]:
        """How many people have each gram, counting up to `most`."""
        first, *others = (_counting(gram, most) for gram in grams)
        beside = [{"$unionWith": {"coll": rows(User).name, "pipeline": pipeline}} for pipeline in others]
        found = await rows(User).aggregate([*first, *beside])
        counted = {entry["gram"]: entry["count"] for entry in await found.to_list()}
        return {gram: counted.get(gram, 0) for gram in grams}

    @staticmethod
    async def keys(gram: str, after: str, most: int) -> list[str]:
        """The handle keys of those who have a gram, in order."""
        where: Raw = {"search_grams": gram, "handle_key": {"$gt": after}}
        found = (
            rows(User).find(where, _KEYS).hint(_BY_GRAM).sort("handle_key", 1).limit(most).batch_size(most)
        )
        return [entry["handle_key"] for entry in await found.to_list()]

    @staticmethod
    async def among(gram: str, keys: Sequence[str]) -> list[str]:
        """Those of these handle keys whose owners have a gram, in order."""
        where: Raw = {"search_grams": gram, "handle_key": {"$in": list(keys)}}
        found = rows(User).find(where, _KEYS).hint(_BY_GRAM).sort("handle_key", 1).batch_size(len(keys) + 1)
        return [entry["handle_key"] for entry in await found.to_list()]

    @staticmethod
    async def of_keys(keys: Sequence[str]) -> list["Findable"]:
        """The active people of these handle keys."""
        found = rows(User).find({"handle_key": {"$in": list(keys)}, **active()}, _SHOWN)
        found = found.batch_size(len(keys) + 1)
        return [_findable(raw) for raw in await found.to_list()]

    @staticmethod
    async def beginning(
        field: Beginning, text: str, after: tuple[str, str] | None, most: int
    ) -> list["Findable"]:
        """Active people whose handle or name begins with `text`, by that and their handle key."""
        where: Raw = {field: {"$gte": text, "$lt": text + _LAST}, **active()}
        if after is not None:
            first, key = after
            where[field] = {"$gte": first, "$lt": text + _LAST}
            where = {"$and": [where, {"$or": [{field: {"$gt": first}}, {"handle_key": {"$gt": key}}]}]}
        found = (
            rows(User).find(where, _SHOWN).sort([(field, 1), ("handle_key", 1)]).limit(most).batch_size(most)
        )
        return [_findable(raw) for raw in await found.to_list()]

    @staticmethod
    async def described(ids: Collection[Id]) -> list["Described"]:
        """These people, if they are active, with what everybody may see of them."""
        found = rows(User).find({"_id": {"$in": list(ids)}, **active()}, _DESCRIBED).batch_size(len(ids) + 1)
        return [_described(raw) for raw in await found.to_list()]

    @staticmethod
    async def handle_keys(ids: Collection[Id]) -> dict[Id, str]:
        """The handle keys of these people."""
        found = rows(User).find({"_id": {"$in": list(ids)}}, {"handle_key": 1}).batch_size(len(ids) + 1)
        return {raw["_id"]: raw["handle_key"] for raw in await found.to_list()}


@dataclass(frozen=True, slots=True)
class Described:
    """A person with what they share with everybody; what they do not is empty."""

    id: Id
    name: str
    handle: str
    avatar: str | None
    interests: Sequence[str]
    university: str


def _described(raw: Raw) -> Described:
    settings = raw["settings"]

    def is_public(shown: Shown) -> bool:
        return audience(settings["privacy"], settings.get("visibility", {}), shown) == "public"

    return Described(
        raw["_id"],
        raw["name"],
        raw["handle"],
        raw["avatar"],
        raw["interests"] if is_public("interests") else (),
        raw["university"] if is_public("education") else "",
    )


def _counting(gram: str, most: int) -> list[Raw]:
    return [
        {"$match": {"search_grams": gram}},
        {"$limit": most},
        {"$count": "count"},
        {"$set": {"gram": {"$literal": gram}}},
    ]


def _findable(raw: Raw) -> Findable:
    return Findable(raw["_id"], *(raw.get(field, "") for field in _FIELDS))
