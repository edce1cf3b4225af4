"""Which connections of this node have somebody looking at them."""

from collections.abc import Collection

from common.ids import Id
from realtime.features.push.schemas import Focus


class Foreground:
    """Every connection is in the foreground until its client says otherwise."""

    def __init__(self, focus: Focus) -> None:
        self._focus = focus
        self._connections: dict[Id, dict[str, bool]] = {}

    def opened(self, user_id: Id, connection_id: str) -> None:
        self._change(user_id, connection_id, True)

    def closed(self, user_id: Id, connection_id: str) -> None:
        """The last connection leaves things as they were: whether somebody is here is for presence to say."""
        known = self._connections.get(user_id, {})
        if len(known) > 1:
            self._change(user_id, connection_id, None)
        elif connection_id in known:
            del self._connections[user_id]

    def says(self, user_id: Id, connection_id: str, is_foreground: bool) -> None:
        """The client tells; nothing that comes after the end of its connection counts."""
        if connection_id in self._connections.get(user_id, {}):
            self._change(user_id, connection_id, is_foreground)

    async def focused(self, user_ids: Collection[Id]) -> set[Id]:
        """Those of these people who look at the app, here or elsewhere."""
        here = {user for user in user_ids if any(self._connections.get(user, {}).values())}
        elsewhere = [user for user in user_ids if user not in here]
        return here | await self._focus.focused(elsewhere) if elsewhere else here

    def _change(self, user_id: Id, connection_id: str, state: bool | None) -> None:
        known = self._connections.setdefault(user_id, {})
        if state is None:
            known.pop(connection_id, None)
        else:
            known[connection_id] = state
        self._focus.set_focused(user_id, any(known.values()))
