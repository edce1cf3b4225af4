"""Presence of one process: what it does not know, nobody does."""

from collections.abc import Collection

from common.ids import Id
from realtime.features.presence.store.port import Left, Listener


class MemoryPresence:
    """The people of the only node."""

    def __init__(self) -> None:
        self._here: set[Id] = set()
        self._unfocused: set[Id] = set()

    async def start(self, listener: Listener) -> None:
        """Nothing can happen that this node does not do itself."""

    async def stop(self) -> None:
        self._here.clear()
        self._unfocused.clear()

    async def join(self, user_id: Id) -> bool:
        is_first = user_id not in self._here
        self._here.add(user_id)
        return is_first

    async def leave(self, user_id: Id) -> Left:
        self._unfocused.discard(user_id)
        if user_id not in self._here:
            return Left.NOT_LAST
        self._here.discard(user_id)
        return Left.LAST

    async def online(self, user_ids: Collection[Id]) -> set[Id]:
        return self._here.intersection(user_ids)

    def here(self) -> Collection[Id]:
        return frozenset(self._here)

    def set_focused(self, user_id: Id, focused: bool) -> None:
        if focused:
            self._unfocused.discard(user_id)
        else:
            self._unfocused.add(user_id)

    async def focused(self, user_ids: Collection[Id]) -> set[Id]:
        return self._here.intersection(user_ids) - self._unfocused
