"""The ledger of what people earned points for."""

from datetime import datetime
from typing import ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.rows import rows


class Activity(Document):
    """One thing that earned points. `slot` numbers a kind's entries of a day: a cap cannot be passed."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    user_id: Id
    kind: str
    cause: str
    day: str
    slot: int
    points: int
    at: datetime = Field(default_factory=now)

    class Settings:
        name = "activities"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING), ("cause", ASCENDING)], unique=True),
            IndexModel(
                [("user_id", ASCENDING), ("day", ASCENDING), ("kind", ASCENDING), ("slot", ASCENDING)],
                unique=True,
            ),
        ]

    async def add(self, cap: int) -> Literal["added", "known", "full"]:
        """Store it in the day's next free slot below `cap`, once for its cause."""
        entries = rows(type(self))
        of_today = {"user_id": self.user_id, "day": self.day, "kind": self.kind}
        self.slot = await entries.count_documents(of_today, limit=cap)
        while self.slot < cap:
            try:
                await entries.insert_one(self.model_dump(by_alias=True))
            except DuplicateKeyError as error:
                if "cause" in (error.details or {}).get("keyPattern", {}):
                    return "known"
                self.slot += 1
            else:
                return "added"
        return "full"
