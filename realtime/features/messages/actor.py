"""The conversation actor: who is typing, and sends in the order in which they were asked for."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Any

from common.ids import Id
from realtime import channels
from realtime.actors import Actor, Ask, Tell
from realtime.fanout import Delivery, Fanout, packet_of
from realtime.features.conversations.schemas import TypingIndicator
from realtime.features.messages.schemas import MessageIn, MessageOut
from realtime.features.messages.service import MessageService


@dataclass(slots=True)
class Send(Ask[MessageOut]):
    """Store a message of `user_id`; their typing ends."""

    user_id: Id
    body: MessageIn


@dataclass(slots=True)
class SetTyping(Tell):
    """`user_id` types, or stopped."""

    user_id: Id
    is_typing: bool


@dataclass(slots=True)
class TypingRanOut(Tell):
    """Somebody's time may be over."""


@dataclass(slots=True)
class _Typist:
    """Somebody who types: what the others are told each time they say so, and when that is no longer true."""

    said: Delivery
    until: float = 0.0


class ConversationActor(Actor):
    """Forgets who is typing after a few seconds. `MessageService` keeps the messages."""

    def __init__(self, conversation_id: Id, messages: MessageService, fanout: Fanout, seconds: float) -> None:
        self._id, self._messages, self._fanout, self._seconds = conversation_id, messages, fanout, seconds
        self._typists: dict[Id, _Typist] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        return not self._typists

    def receive(self, message: Ask[Any] | Tell) -> Any:
        match message:
            case Send(user_id=user_id, body=body):
                self._stop_typing(user_id)
                return self._messages.begin_send(user_id, body)
            case SetTyping(user_id=user_id, is_typing=True):
                self._start_typing(user_id)
            case SetTyping(user_id=user_id):
                self._stop_typing(user_id)
            case TypingRanOut():
                self._end_overdue()
            case _:
                raise TypeError(message)
        return None

    def _start_typing(self, user_id: Id) -> None:
        typist = self._typists.get(user_id)
        if typist is None:
            typist = self._typists[user_id] = _Typist(self._saying(user_id, True))
        typist.until = monotonic() + self._seconds
        if self._timer is None:
            self._timer = self.later(self._seconds, TypingRanOut())
        self._fanout.deliver(typist.said)

    def _stop_typing(self, user_id: Id) -> None:
        if self._typists.pop(user_id, None) is not None:
            self._fanout.deliver(self._saying(user_id, False))

    def _end_overdue(self) -> None:
        """One timer for all: whoever typed on meanwhile is looked at again when their time is over."""
        now = monotonic()
        for user_id in [one for one, typist in self._typists.items() if typist.until <= now]:
            self._stop_typing(user_id)
        left = min((typist.until for typist in self._typists.values()), default=None)
        self._timer = None if left is None else self.later(left - now, TypingRanOut())

    def _saying(self, user_id: Id, is_typing: bool) -> Delivery:
        said = TypingIndicator(conversation_id=self._id, user_id=user_id, is_typing=is_typing)
        channel = channels.conversation(self._id)
        return Delivery((channel,), packet_of(said), ephemeral=True, origin=user_id)

    async def stopped(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for user_id in list(self._typists):
            self._stop_typing(user_id)
