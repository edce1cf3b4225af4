"""What people want to be told, and when they want their peace."""

from collections.abc import Collection, Mapping
from typing import Any, Self

from beanie import Document
from pydantic import Field
from pymongo import ReturnDocument

from common.ids import Id
from documents.rows import Raw, rows


class NotificationChoices(Document):
    """What a person wants to be told, by type: `list` and `push`; and when not to push."""

    id: Id  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    types: dict[str, dict[str, bool]] = Field(default_factory=dict[str, dict[str, bool]])
    quiet_hours: dict[str, Any] | None = None

    class Settings:
        name = "notification_choices"

    @classmethod
    async def of(cls, users: Collection[Id]) -> dict[Id, Self]:
        """Those that have chosen anything."""
        found = rows(cls).find({"_id": {"$in": list(users)}})
        return {raw["_id"]: cls.model_validate(raw) for raw in await found.to_list()}

    @classmethod
    async def choose(
        cls, user: Id, types: Mapping[str, Mapping[str, bool]], quiet_hours: Mapping[str, Any] | None
    ) -> Self:
        """Set these types, and the quiet hours unless None; what is not named stays."""
        named: Raw = {f"types.{type_}": dict(choice) for type_, choice in types.items()}
        if quiet_hours is not None:
            named["quiet_hours"] = dict(quiet_hours)
        found = await rows(cls).find_one_and_update(
            {"_id": user},
            {"$set": named} if named else {"$setOnInsert": {"quiet_hours": None}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return cls.model_validate(found)
