"""The words of messages, kept beside them: written behind new ones, and around every change."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from common.ids import Id
from documents.search import MessageWords
from realtime.features.search import rules

AT_ONCE = 20


class Said(Protocol):
    """A message as search reads it."""

    @property
    def id(self) -> Id: ...
    @property
    def conversation(self) -> Id: ...
    @property
    def sender(self) -> Id: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def rev(self) -> int: ...
    @property
    def text(self) -> str: ...


class MessageIndex:
    """Keeps what a message is found by. A crash leaves too much rather than too little."""

    async def add(self, messages: Iterable[Said]) -> None:
        """New messages; those that are there already stay as they are."""
        found: list[MessageWords] = []
        for number, message in enumerate(messages, 1):
            words = _words(message, message.text)
            if words.grams:
                found.append(words)
            if number % AT_ONCE == 0:  # cutting words takes a while: others have their turn
                await asyncio.sleep(0)
        if found:
            await MessageWords.add(found)

    async def editing(self, message: Said, text: str) -> None:
        """Before a text is replaced: the message is found by both."""
        await MessageWords.widen(_words(message, text))

    async def edited(self, message: Said) -> None:
        """After it was: the message is found by what it says now."""
        await MessageWords.settle(_words(message, message.text))

    async def erased(self, message_id: Id) -> None:
        """A message says nothing any more."""
        await MessageWords.remove([message_id])


def _words(message: Said, text: str) -> MessageWords:
    return MessageWords.model_construct(
        id=message.id,
        conversation=message.conversation,
        sender=message.sender,
        at=message.created_at,
        rev=message.rev,
        grams=rules.grams_of(text),
    )
