"""Finding messages by words, newest first, in the conversations one may read now."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from common import words
from common.errors import Invalid, NotFound
from common.ids import Id
from documents.search import Candidate, MessageWords
from realtime.features.conversations import ConversationService
from realtime.features.messages import MessageArchive, MessageService
from realtime.features.messages.schemas import MessageOut
from realtime.features.search import rules
from realtime.features.search.schemas import FoundMessages, MessageWindow
from realtime.features.search.service.walk import AT_ONCE, TOGETHER, MessageWalk, Where

CONVERSATIONS = 1000
"""Somebody's latest conversations that are searched; any other one when it is named."""
COUNTED, COMPARED = 1000, 200
DEEPEST = 1000
"""How far page numbers go; cursors go on."""
NOW = datetime.max.replace(tzinfo=UTC, microsecond=0)


class MessageFinder:
    """Searches in messages: the index proposes, the message itself decides."""

    def __init__(
        self, archive: MessageArchive, messages: MessageService, conversations: ConversationService
    ) -> None:
        self._archive, self._messages, self._conversations = archive, messages, conversations

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
        walk = MessageWalk(places, grams, window.before)
        skip = 0 if window.before else window.skip
        found = await self._found(viewer, query, walk, skip + window.limit + 1)
        page = found[skip : skip + window.limit]
        behind = walk.stopped_at
        if len(found) > skip + window.limit:
            behind = (page[-1].created_at, page[-1].id)
        total = window.total if window.before else len(found)
        if behind is not None and window.before is None:
            total = max(total, await _about(places, grams[0]))
        return FoundMessages(page, total, behind)

    async def _places(self, viewer: Id, conversation_id: Id | None) -> Sequence[Where]:
        """Where to look; whoever names a conversation must have a place in it."""
        if conversation_id is not None:
            await self._conversations.place(viewer, conversation_id)
            return [(conversation_id, NOW)]
        await self._conversations.touch()
        return await self._archive.conversations_of(viewer, CONVERSATIONS)

    async def _found(
        self, viewer: Id, query: Sequence[str], walk: MessageWalk, most: int
    ) -> list[MessageOut]:
        """The next messages that really fit and may be read."""
        found: list[MessageOut] = []
        while len(found) < most:
            candidates = await walk.some(min(most - len(found), AT_ONCE))
            if not candidates:
                break
            readable = await self._readable(viewer, candidates)
            found += await self._fitting(query, [one for one in candidates if one.conversation in readable])
        return found

    async def _readable(self, viewer: Id, candidates: Sequence[Candidate]) -> set[Id]:
        """The conversations that the viewer may read, as it was at most 1.5 s ago."""
        named = {candidate.conversation for candidate in candidates}
        places = (self._conversations.place(viewer, one) for one in named)
        looked = await asyncio.gather(*places, return_exceptions=True)
        for failure in looked:
            if isinstance(failure, BaseException) and not isinstance(failure, NotFound):
                raise failure
        return {place.conversation_id for place in looked if not isinstance(place, BaseException)}

    async def _fitting(self, query: Sequence[str], candidates: Sequence[Candidate]) -> list[MessageOut]:
        """Those candidates that hold the words now, as the wire shows them; what was deleted is forgotten."""
        messages = {one.id: one for one in await self._archive.of_ids([one.id for one in candidates])}
        gone = [
            one.id for one in candidates if one.id not in messages or messages[one.id].deleted_at is not None
        ]
        if gone:
            await MessageWords.remove(gone)
        fitting = [
            message
            for candidate in candidates
            if (message := messages.get(candidate.id)) is not None and rules.holds(message.text, query)
        ]
        shown: dict[Id, MessageOut] = {}
        for conversation in {message.conversation for message in fitting}:
            theirs = [message for message in fitting if message.conversation == conversation]
            shown |= {one.id: one for one in await self._messages.shown(conversation, theirs)}
        return [shown[message.id] for message in fitting]


async def _rarest(places: Sequence[Where], choices: Sequence[Sequence[str]]) -> list[str]:
    """One gram of each word, the rarest first, as far as the latest conversations tell."""
    grams = list(dict.fromkeys(gram for choice in choices for gram in choice))
    if len(grams) == 1:
        return grams
    latest = [conversation for conversation, _ in places[:TOGETHER]]
    counts = await MessageWords.counts(latest, grams, COMPARED)
    rarest = dict.fromkeys(min(choice, key=lambda gram: counts[gram]) for choice in choices)
    return sorted(rarest, key=lambda gram: counts[gram])


async def _about(places: Sequence[Where], gram: str) -> int:
    """How many there may be in the latest conversations, up to the next hundred."""
    latest = [conversation for conversation, _ in places[:TOGETHER]]
    counts = await MessageWords.counts(latest, [gram], COUNTED)
    return -(-counts[gram] // 100) * 100
