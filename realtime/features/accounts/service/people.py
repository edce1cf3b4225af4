"""People as other features need to know them: found by id or name, and shown in lists."""

from collections.abc import Collection, Iterable

from common.ids import Id
from documents.accounts import Caller, User
from realtime.features.accounts.schemas import handles


class People:
    """Finds those who take part; who is pending, rejected or banned is not among them."""

    async def get(self, user_id: Id) -> User | None:
        user = await User.find_by("_id", user_id)
        return user if user is not None and user.standing == "active" else None

    async def by_username(self, username: str) -> User | None:
        """The person of that handle, in any spelling that folds to it."""
        if len(username) > handles.LONGEST:
            return None
        user = await User.find_by("handle_key", handles.key(username))
        return user if user is not None and user.standing == "active" else None

    async def standings(self, user_ids: Collection[Id]) -> dict[Id, Caller]:
        """Whether people take part, and what they show: for the policy, of everybody there is."""
        return await User.callers(list(user_ids))

    async def many(self, user_ids: Iterable[Id]) -> dict[Id, User]:
        return await User.many(user_ids)

    async def cards(self, user_ids: Iterable[Id]) -> dict[Id, User]:
        """The same; lists show name, handle and avatar of it."""
        return await User.many(user_ids)

    async def set_invisible(self, user_id: Id, invisible: bool) -> None:
        await User.set_invisible(user_id, invisible)
