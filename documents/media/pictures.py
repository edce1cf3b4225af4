"""Pictures that people show of themselves; one of each person's is the primary one, always."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from common.clock import now
from common.ids import Id, new_id
from documents.rows import rows

ImageType = Literal["profile", "gallery", "cover"]
_ATTEMPTS = 10
_NEWEST = [("uploaded_at", DESCENDING), ("_id", DESCENDING)]


class UserImage(Document):
    """Somebody's picture. The index lets nobody have two primary ones; transactions leave nobody without."""

    id: Id = Field(default_factory=new_id)  # pyright: ignore[reportIncompatibleVariableOverride]
    owner: Id
    media: Id
    image_type: ImageType
    is_primary: bool
    caption: str
    width: int
    height: int
    size_bytes: int
    mime_type: str
    uploaded_at: datetime = Field(default_factory=now)

    class Settings:
        name = "user_images"
        indexes: ClassVar = [
            IndexModel(
                [("owner", ASCENDING)],
                unique=True,
                name="one_primary",
                partialFilterExpression={"is_primary": True},
            ),
            IndexModel([("owner", ASCENDING), ("uploaded_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("media", ASCENDING)]),
        ]

    async def add(self) -> Self:
        """Store it; as the primary one if it is to be, or if there is none."""
        images = rows(type(self))

        async def work(session: AsyncClientSession) -> None:
            primary = {"owner": self.owner, "is_primary": True}
            if self.is_primary:
                await images.update_many(primary, {"$set": {"is_primary": False}}, session=session)
            elif await images.find_one(primary, {"_id": 1}, session=session) is None:
                self.is_primary = True
            await images.insert_one(self.model_dump(by_alias=True), session=session)

        await _settled(images, work)
        return self

    @classmethod
    async def make_primary(cls, image_id: Id, owner: Id) -> Self | None:
        """Let this one be the primary one, and no other; None when the owner has no such picture."""
        images = rows(cls)

        async def work(session: AsyncClientSession) -> Any:
            mine = {"_id": image_id, "owner": owner}
            if await images.find_one(mine, {"_id": 1}, session=session) is None:
                return None
            others = {"owner": owner, "is_primary": True, "_id": {"$ne": image_id}}
            await images.update_many(others, {"$set": {"is_primary": False}}, session=session)
            await images.update_one(mine, {"$set": {"is_primary": True}}, session=session)
            return await images.find_one(mine, session=session)

        found = await _settled(images, work)
        return cls.model_validate(found) if found else None

    @classmethod
    async def remove(cls, image_id: Id, owner: Id) -> Self | None:
        """Remove one's own picture; the newest of the others succeeds a primary one. What was removed."""
        images = rows(cls)

        async def work(session: AsyncClientSession) -> Any:
            gone = await images.find_one_and_delete({"_id": image_id, "owner": owner}, session=session)
            if gone is not None and gone["is_primary"]:
                heir = await images.find_one({"owner": owner}, {"_id": 1}, sort=_NEWEST, session=session)
                if heir is not None:
                    change = {"$set": {"is_primary": True}}
                    await images.update_one({"_id": heir["_id"]}, change, session=session)
            return gone

        found = await _settled(images, work)
        return cls.model_validate(found) if found else None

    @classmethod
    async def by_id(cls, image_id: Id) -> Self | None:
        found = await rows(cls).find_one({"_id": image_id})
        return cls.model_validate(found) if found else None

    @classmethod
    async def of_each(cls, owners: Sequence[Id], most: int) -> dict[Id, list[Self]]:
        """The newest pictures of each of these people."""
        found: dict[Id, list[Self]] = {}
        for owner in owners:
            images = rows(cls).find({"owner": owner}).sort(_NEWEST).limit(most)
            found[owner] = [cls.model_validate(raw) for raw in await images.to_list()]
        return found

    @classmethod
    async def forget_all(cls, owner: Id) -> None:
        await rows(cls).delete_many({"owner": owner})


async def _settled(images: Any, work: Callable[[AsyncClientSession], Awaitable[Any]]) -> Any:
    """Run a transaction; again, when somebody else has just become the primary one."""
    for _ in range(_ATTEMPTS):
        try:
            async with images.database.client.start_session() as session:
                return await session.with_transaction(work)
        except DuplicateKeyError:
            continue
    raise TimeoutError
