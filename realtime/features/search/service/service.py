"""What people can find."""

from common.ids import Id
from realtime.features.accounts import PeopleFinder
from realtime.features.accounts.schemas.common import Rows, Window
from realtime.features.accounts.schemas.users import UserCard
from realtime.features.search.schemas import FoundMessages, MessageWindow
from realtime.features.search.service.messages import MessageFinder


class SearchService:
    """Finds people and messages."""

    def __init__(self, people: PeopleFinder, messages: MessageFinder) -> None:
        self._people, self._messages = people, messages

    async def people(self, viewer: Id, text: str, window: Window) -> Rows[UserCard]:
        """People whose name, handle or public interests hold every word, best first."""
        return await self._people.find(viewer, text, window)

    async def messages(self, viewer: Id, text: str, window: MessageWindow) -> FoundMessages:
        """Messages that hold every word, newest first, in conversations that the viewer may read."""
        return await self._messages.find(viewer, text, window)
