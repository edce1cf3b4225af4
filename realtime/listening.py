"""What a session hears from its beginning: its person's log and conversations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.ids import Id
from realtime import channels
from realtime.batches import Batch
from realtime.fanout import LocalFanout
from realtime.features.conversations import ConversationService
from realtime.features.updates import UpdateService
from realtime.gateway.session import Session


@dataclass(frozen=True, slots=True)
class _Look:
    """What there is for a person to hear: the last position of their log, and their conversations."""

    head: int
    places: Sequence[Id]


class Listening:
    """The gateway's first hook: a session hears its person's log and conversations before it is told so.

    A session joins the log first. Then the log's head is read, and after that the places: who has lost one of
    them since is told so by the log, behind that head. Those who connect together are looked up together.
    """

    def __init__(
        self, local: LocalFanout, updates: UpdateService, conversations: ConversationService
    ) -> None:
        self._local, self._updates, self._conversations = local, updates, conversations
        self._looks: Batch[Id, _Look] = Batch(self._look)
        self._seqs: Batch[Id, int] = Batch(self._ask_seqs)

    async def opened(self, session: Session) -> None:
        own = channels.user(session.user_id)
        self._local.join(session, own)
        with self._local.watching(session) as parted:
            look = await self._looks.get(session.user_id) or _Look(0, ())
            self._local.join(session, own, look.head)
            seqs = await self._seqs_of(look.places)
            for place in look.places:
                channel = channels.conversation(place)
                if channel not in parted:
                    self._local.join(session, channel, seqs.get(place))
        await self._local.settle()

    async def _look(self, user_ids: Sequence[Id]) -> dict[Id, _Look]:
        heads = await self._updates.heads_of(user_ids)
        places = await self._conversations.places_of(user_ids)
        return {user: _Look(heads.get(user, 0), places.get(user, ())) for user in user_ids}

    async def _seqs_of(self, places: Collection[Id]) -> dict[Id, int]:
        """The last positions of those conversations to which nobody listens here at the end of this."""
        seqs: dict[Id, int] = {}
        while unheard := [place for place in places if place not in seqs and not self._is_heard(place)]:
            seqs |= dict.fromkeys(unheard, 0) | await self._seqs.get_many(unheard)
        return seqs

    async def _ask_seqs(self, places: Sequence[Id]) -> dict[Id, int]:
        return await self._conversations.heads(places)

    def _is_heard(self, place: Id) -> bool:
        return self._local.heard(channels.conversation(place)) is not None

    async def closed(self, session: Session) -> None:
        """Fan-out has forgotten the session already."""
