"""The conversation actor: who is typing, and sends in the order in which they were asked for."""

import asyncio
from dataclasses import dataclass
from typing import Any

from common.ids import Id
from realtime import channels
from realtime.actors import Actor, Ask, Tell
from realtime.fanout import Fanout
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
    user_id: Id


class ConversationActor(Actor):
    """Forgets who is typing after a few seconds. `MessageService` keeps the messages."""

    def __init__(self, conversation_id: Id, messages: MessageService, fanout: Fanout, seconds: float) -> None:
        self._id, self._messages, self._fanout, self._seconds = conversation_id, messages, fanout, seconds
        self._typing: dict[Id, asyncio.TimerHandle] = {}

    @property
    def is_idle(self) -> bool:
        return not self._typing

    async def receive(self, message: Ask[Any] | Tell) -> Any:
        match message:
            case Send(user_id=user_id, body=body):
                self._stop_typing(user_id)
                return await self._messages.begin_send(user_id, body)
            case SetTyping(user_id=user_id, is_typing=True):
                self._start_typing(user_id)
            case SetTyping(user_id=user_id):
                self._stop_typing(user_id)
            case TypingRanOut(user_id=user_id):
                self._stop_typing(user_id)
            case _:
                raise TypeError(message)
        return None

    def _start_typing(self, user_id: Id) -> None:
        before = self._typing.pop(user_id, None)
        if before is not None:
            before.cancel()
        self._typing[user_id] = self.later(self._seconds, TypingRanOut(user_id))
        self._say(user_id, True)

    def _stop_typing(self, user_id: Id) -> None:
        timer = self._typing.pop(user_id, None)
        if timer is not None:
            timer.cancel()
            self._say(user_id, False)

    def _say(self, user_id: Id, is_typing: bool) -> None:
        said = TypingIndicator(conversation_id=self._id, user_id=user_id, is_typing=is_typing)
        self._fanout.publish(channels.conversation(self._id), said, origin=user_id)

    async def stopped(self) -> None:
        for user_id in list(self._typing):
            self._stop_typing(user_id)
