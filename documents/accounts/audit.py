"""What people with power did: rows are added, never changed."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

from common.clock import now
from common.ids import Id, new_id
from documents.accounts.users import Decision, User
from documents.rows import rows

_OUTCOME: dict[Decision, dict[str, Any]] = {"approve": {"is_approved": True}, "reject": {"rejected": True}}


class AdminAudit(Document):
    """Who did what to whom, when. `actor` is a person's id, or `cli` for the command line."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    actor: str
    action: str
    target: Id
    detail: dict[str, Any] = Field(default_factory=dict[str, Any])
    at: datetime = Field(default_factory=now)

    class Settings:
        name = "admin_audit"
        indexes: ClassVar = [
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("target", 1), ("at", DESCENDING)]),
        ]

    @classmethod
    async def add(cls, actor: str, action: str, target: Id, **detail: Any) -> None:
        row = cls(actor=actor, action=action, target=target, detail=detail)
        await rows(cls).insert_one(row.model_dump(by_alias=True))

    @classmethod
    async def decide(
        cls, actor: str, user_id: Id, decision: Decision
    ) -> Literal["done", "decided", "absent"]:
        """Approve or reject who waits, with its audit row, in one transaction: one decision stands."""
        users, audit = rows(User), rows(cls)
        row = cls(actor=actor, action=f"user_{decision}", target=user_id)

        async def work(session: AsyncClientSession) -> bool:
            waiting = {"_id": user_id, "is_approved": False, "rejected": False}
            result = await users.update_one(waiting, {"$set": _OUTCOME[decision]}, session=session)
            if result.modified_count == 1:
                await audit.insert_one(row.model_dump(by_alias=True), session=session)
            return result.modified_count == 1

        async with users.database.client.start_session() as session:
            if await session.with_transaction(work):
                return "done"
        return "decided" if await User.caller(user_id) else "absent"
