"""Finding messages by words, newest first, in the conversations one may read now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from common import words
from common.errors import Invalid
from common.ids import Id
from documents.search import Candidate, MessageWords
from realtime.features.conversations import ConversationService
from realtime.features.messages import MessageArchive
from realtime.features.messages.schemas import MessageOut
from realtime.features.search import rules
from realtime.features.search.schemas import FoundMessages, MessageWindow
from realtime.features.search.service.walk import AT_ONCE, TOGETHER, MessageWalk, Where
from realtime.policy import Policy, Verb

CONVERSATIONS = 1000
"""Somebody's latest conversations that are searched; any other one when it is named."""
COUNTED, COMPARED = 1000, 200
DEEPEST = 400
"""How far page numbers go; cursors go on."""
NOW = datetime.max.replace(tzinfo=UTC, microsecond=0)


@dataclass(frozen=True, slots=True)
class _Named:
    """The conversation that was asked for, whenever it was active."""

    conversation: Id
    other: Id | None
    last_at: datetime = NOW


class MessageFinder:
    """Searches in messages: the index proposes, the message itself decides."""

    def __init__(self, archive: MessageArchive, conversations: ConversationService, policy: Policy) -> None:
        self._archive, self._conversations, self._policy = archive, conversations, policy

    async def find(self, viewer: Id, text: str, window: MessageWindow) -> FoundMessages:
        """Messages that hold every word, newest first. `total` is exact if no more pages follow the first."""
        query = tuple(dict.fromkeys(words.words_of(text)))
        choices = rules.needed(query)
        if not choices:
            raise Invalid.field("q", "needs a word of two letters")
        if window.skip + window.limit > DEEPEST and window.before is None:
            raise Invalid.field("page", f"goes {DEEPEST:,} messages deep; next_cursor goes on")
        places = await self._places(viewer, window.conversation_id)
        if not places:
            return FoundMessages([], 0, None)
        grams = await _rarest(places, choices)
        search = _Search(self._archive, self._policy, viewer, query, places)
        walk = MessageWalk(places, grams, window.before)
        skip = 0 if window.before else window.skip
        found = await search.some(walk, skip + window.limit + 1)
        page = found[skip : skip + window.limit]
        behind = walk.stopped_at
        if len(found) > skip + window.limit:
            behind = (page[-1].created_at, page[-1].id)
        total = window.total if window.before else len(found)
        if behind is not None and window.before is None:
            total = max(total, await _about(places, grams[0]))
        return FoundMessages(page, total, behind)

    async def _places(self, viewer: Id, conversation_id: Id | None) -> Sequence[Where]:
        """Where the viewer has a place now; whoever names a conversation must have one in it."""
        if conversation_id is not None:
            place = await self._conversations.place(viewer, conversation_id)
            return [_Named(conversation_id, place.other)]
        await self._conversations.touch()
        return await self._archive.conversations_of(viewer, CONVERSATIONS)


class _Search:
    """One search of one person."""

    def __init__(
        self,
        archive: MessageArchive,
        policy: Policy,
        viewer: Id,
        query: Sequence[str],
        places: Sequence[Where],
    ) -> None:
        self._archive, self._policy, self._viewer, self._query = archive, policy, viewer, query
        self._others = {place.conversation: place.other for place in places}

    async def some(self, walk: MessageWalk, most: int) -> list[MessageOut]:
        """The next messages that really fit and may be read."""
        found: list[MessageOut] = []
        while len(found) < most:
            candidates = await walk.some(min(most - len(found), AT_ONCE))
            if not candidates:
                break
            found += await self._fitting(await self._readable(candidates))
        return found

    async def _readable(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those in conversations that no block closes."""
        others = {other for one in candidates if (other := self._others[one.conversation]) is not None}
        allowed = await self._policy.among(self._viewer, Verb.SEE_CHAT, others) if others else set[Id]()
        return [
            one for one in candidates if (other := self._others[one.conversation]) is None or other in allowed
        ]

    async def _fitting(self, candidates: Sequence[Candidate]) -> list[MessageOut]:
        """Those that hold the words now, as the wire shows them; what was deleted is forgotten."""
        if not candidates:
            return []
        messages = {one.id: one for one in await self._archive.of_ids([one.id for one in candidates])}
        gone = [
            one.id for one in candidates if one.id not in messages or messages[one.id].deleted_at is not None
        ]
        if gone:
            await MessageWords.remove(gone)
        there = [messages[one.id] for one in candidates if one.id in messages]
        return await self._archive.shown(
            [message for message in there if rules.holds(message.text, self._query)]
        )


async def _rarest(places: Sequence[Where], choices: Sequence[Sequence[str]]) -> list[str]:
    """One gram of each word, the rarest first, as far as the latest conversations tell."""
    grams = list(dict.fromkeys(gram for choice in choices for gram in choice))
    if len(grams) == 1:
        return grams
    counts = await MessageWords.counts(_latest(places), grams, COMPARED)
    rarest = dict.fromkeys(min(choice, key=lambda gram: counts[gram]) for choice in choices)
    return sorted(rarest, key=lambda gram: counts[gram])


async def _about(places: Sequence[Where], gram: str) -> int:
    """How many there may be in the latest conversations, up to the next hundred."""
    counts = await MessageWords.counts(_latest(places), [gram], COUNTED)
    return -(-counts[gram] // 100) * 100


def _latest(places: Sequence[Where]) -> list[Id]:
    return [place.conversation for place in places[:TOGETHER]]
