"""What a session hears from its beginning: its person's log and conversations."""

from common.ids import Id
from realtime import channels
from realtime.fanout import LocalFanout
from realtime.features.conversations import ConversationService
from realtime.features.updates import UpdateService
from realtime.gateway.session import Session


class Listening:
    """The gateway's first hook: a session hears its person's log and conversations before it is told so."""

    def __init__(
        self, local: LocalFanout, updates: UpdateService, conversations: ConversationService
    ) -> None:
        self._local, self._updates, self._conversations = local, updates, conversations

    async def opened(self, session: Session) -> None:
        """Join the log first: a conversation that begins meanwhile is joined through it."""
        self._local.join(session, channels.user(session.user_id))
        head = self._updates.ask_head(session.user_id)
        try:
            mine = await self._conversations.channels_of(session.user_id)
        except BaseException:
            head.cancel()
            raise
        self._local.join(session, channels.user(session.user_id), await head or 0)
        for channel, seq in mine:
            self._local.join(session, channel, seq)
        await self._leave_gone(session, {channels.key(channel) for channel, _ in mine})
        await self._local.settle()

    async def _leave_gone(self, session: Session, joined: set[Id]) -> None:
        """Who was removed while we looked had not joined yet when their log said so.

        What is left here may have been joined again through the log since we looked, so look until it agrees.
        """
        asked, heard = list(joined), joined
        while (stands := await self._conversations.still_in(session.user_id, asked)) != heard:
            for gone in heard - stands:
                self._local.leave(session, channels.conversation(gone))
            heads = await self._conversations.heads(list(stands - heard))
            for back in stands - heard:
                self._local.join(session, channels.conversation(back), heads.get(back, 0))
            heard = stands

    async def closed(self, session: Session) -> None:
        """Fan-out has forgotten the session already."""
