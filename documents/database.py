"""One connection to MongoDB for a process, and the list of everything stored there."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from beanie import Document, init_beanie  # pyright: ignore[reportUnknownVariableType]  (no type for its database)
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError, WaitQueueTimeoutError

from common.errors import Unavailable, translate
from documents import (
    accounts,
    conversations,
    friends,
    media,
    messages,
    moderation,
    notifications,
    personal,
    presence,
    push,
    search,
    suggestions,
    updates,
)
from documents.files import Files

T = TypeVar("T")

DOCUMENTS: list[type[Document]] = [
    *accounts.DOCUMENTS,
    *friends.DOCUMENTS,
    *conversations.DOCUMENTS,
    *messages.DOCUMENTS,
    *media.DOCUMENTS,
    *moderation.DOCUMENTS,
    *presence.DOCUMENTS,
    *updates.DOCUMENTS,
    *notifications.DOCUMENTS,
    *push.DOCUMENTS,
    *search.DOCUMENTS,
    *suggestions.DOCUMENTS,
    *personal.DOCUMENTS,
]

DEADLINE_MS = 8000
POOL = 50


class Store(Unavailable):
    """The database does not answer; nothing is known to have been lost, and a retry is safe."""

    code, text = "store_unavailable", "The store does not answer at the moment. Please try again."


for _kind in (ConnectionFailure, ExecutionTimeout, WaitQueueTimeoutError):
    translate(_kind, Store)


class Database:
    """The client, with majority writes and deadlines on everything."""

    def __init__(self, url: str, name: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            url,
            w="majority",
            journal=True,
            retryWrites=True,
            tz_aware=True,
            maxPoolSize=POOL,
            waitQueueTimeoutMS=1000,
            serverSelectionTimeoutMS=5000,
            timeoutMS=DEADLINE_MS,
            appname="plaza",
        )
        self._name = name

    async def open(self, *, indexes: bool = True) -> None:
        """Bind the documents and, unless told not to, make their indexes."""
        await init_beanie(
            database=self._client[self._name], document_models=DOCUMENTS, skip_indexes=not indexes
        )

    async def close(self) -> None:
        await self._client.close()

    async def ping(self, seconds: float = 1.0) -> bool:
        """Whether the database answers within `seconds`."""
        try:
            await self._client.admin.command("ping", maxTimeMS=int(seconds * 1000))
        except PyMongoError:
            return False
        return True

    async def drop(self) -> None:
        """Remove everything: for throw-away databases."""
        await self._client.drop_database(self._name)

    def files(self, bucket: str) -> Files:
        """A bucket of files."""
        return Files(self._client[self._name], bucket)

    async def transaction(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again when the server asks for it."""
        async with self._client.start_session() as session:
            return await session.with_transaction(work)
