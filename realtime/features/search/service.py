"""What people can find."""

from common.ids import Id
from realtime.features.accounts import PeopleFinder
from realtime.features.accounts.schemas.common import Rows, Window
from realtime.features.accounts.schemas.users import UserCard


class SearchService:
    """Finds people and messages."""

    def __init__(self, people: PeopleFinder) -> None:
        self._people = people

    async def people(self, viewer: Id, text: str, window: Window) -> Rows[UserCard]:
        """People whose name, handle or public interests hold every word, best first."""
        return await self._people.find(viewer, text, window)
