"""Who is on the way out, and that somebody stays who can administer."""

from datetime import datetime

from pydantic import BaseModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from common.ids import Id
from documents.accounts.standing import active
from documents.rows import Raw


class Leaving(BaseModel):
    """Somebody's account is to be erased at `deletes_at`; `restorable`: until then they may take it back."""

    deletes_at: datetime
    restorable: bool = True


async def another_administers(users: AsyncCollection[Raw], user_id: Id, session: AsyncClientSession) -> bool:
    """Whether somebody else administers, for a transaction in which this person stops.

    It touches the others, so that of two who stop at the same time one transaction meets the other's.
    """
    others = {"_id": {"$ne": user_id}, "is_admin": True, **active()}
    return (await users.update_many(others, {"$inc": {"guards": 1}}, session=session)).matched_count > 0
