"""What a client may say about messages."""

from common.errors import Invalid
from common.ids import Id
from realtime import channels
from realtime.actors import Actors
from realtime.features.conversations import ConversationService, Place
from realtime.features.conversations.schemas import (
    JoinIn,
    JoinOut,
    LeaveIn,
    LeaveOut,
    ReadOut,
    TypingIn,
)
from realtime.features.messages.actor import Send, SetTyping
from realtime.features.messages.schemas import DeleteIn, EditIn, MessageIn, MessageOut, ReactIn, ReadIn
from realtime.features.messages.service import MessageService
from realtime.gateway.commands import Soon, command
from realtime.gateway.session import Session
from realtime.policy import Verb


class MessageCommands:
    """Conversations over the socket. Also a hook: a socket that goes stops typing."""

    def __init__(self, actors: Actors, messages: MessageService, conversations: ConversationService) -> None:
        self._actors, self._messages, self._conversations = actors, messages, conversations
        self._typing: dict[str, set[Id]] = {}

    @command("join_room", Verb.READ_CONVERSATION)
    async def join_room(self, session: Session, body: JoinIn) -> JoinOut:
        """Open a conversation: its positions and members. Typing indicators arrive from now on."""
        place = await self._place(session, body.friend_id, body.conversation_id, Verb.SEE_CHAT)
        session.unhush(channels.conversation(place.conversation_id))
        return await self._conversations.enter(place)

    @command("leave_room", Verb.READ_CONVERSATION)
    async def leave_room(self, session: Session, body: LeaveIn) -> LeaveOut:
        """Close a conversation on this socket: no more typing indicators. Messages still arrive."""
        place = await self._conversations.place(session.user_id, body.conversation_id)
        session.hush(channels.conversation(place.conversation_id))
        self._stop_typing(session, place.conversation_id)
        return LeaveOut(conversation_id=place.conversation_id)

    @command("send_message", Verb.MESSAGE)
    async def send_message(self, session: Session, body: MessageIn) -> MessageOut:
        """Send a message. The answer is what was stored; a retry with the same `clientId` gets the same."""
        key = body.conversation_id or (body.to and self._conversations.direct_id(session.user_id, body.to))
        if key is None:
            raise Invalid.field("to", "give either to or conversationId")
        self._typing.get(session.id, set()).discard(key)
        return await self._actors.ask("conversation", key, Send(session.user_id, body))

    @command("typing", Verb.MESSAGE)
    def typing(self, session: Session, body: TypingIn) -> Soon[LeaveOut]:
        """Say that one is typing, or not any more."""
        key = self._key(session, body.to, body.conversation_id, "to")
        place = self._conversations.known(session.user_id, key, Verb.MESSAGE)
        return self._look_and_type(session, body) if place is None else self._type(session, body, place)

    async def _look_and_type(self, session: Session, body: TypingIn) -> LeaveOut:
        return self._type(
            session, body, await self._place(session, body.to, body.conversation_id, Verb.MESSAGE)
        )

    def _type(self, session: Session, body: TypingIn, place: Place) -> LeaveOut:
        conversation_id = place.conversation_id
        if body.is_typing:
            types_in = self._typing.get(session.id)
            if types_in is None:
                types_in = self._typing[session.id] = set()
            types_in.add(conversation_id)
            self._actors.tell("conversation", conversation_id, SetTyping(session.user_id, True))
        else:
            self._stop_typing(session, conversation_id)
        return LeaveOut(conversation_id=conversation_id)

    @command("mark_read", Verb.READ_CONVERSATION)
    async def mark_read(self, session: Session, body: ReadIn) -> ReadOut:
        """Have read everything up to a message."""
        return await self._messages.mark_read(session.user_id, body)

    @command("edit_message", Verb.READ_CONVERSATION)
    async def edit_message(self, session: Session, body: EditIn) -> MessageOut:
        """Edit one's own message, within 24 hours."""
        return await self._messages.edit(session.user_id, body)

    @command("delete_message", Verb.READ_CONVERSATION)
    async def delete_message(self, session: Session, body: DeleteIn) -> MessageOut:
        """Delete a message for everyone."""
        return await self._messages.delete(session.user_id, body)

    @command("react_message", Verb.READ_CONVERSATION)
    async def react_message(self, session: Session, body: ReactIn) -> MessageOut:
        """React with an emoji, or take it back."""
        return await self._messages.react(session.user_id, body)

    # -- as a hook of the gateway

    async def opened(self, session: Session) -> None:
        """Nobody types yet."""

    async def closed(self, session: Session) -> None:
        for conversation_id in self._typing.pop(session.id, ()):
            message = SetTyping(session.user_id, False)
            self._actors.tell("conversation", conversation_id, message)

    def sent_elsewhere(self, conversation_id: Id, user_id: Id) -> None:
        """A message came over HTTP: whoever sent it has stopped typing."""
        if self._actors.is_running("conversation", conversation_id):
            self._actors.tell("conversation", conversation_id, SetTyping(user_id, False))

    def _stop_typing(self, session: Session, conversation_id: Id) -> None:
        self._typing.get(session.id, set()).discard(conversation_id)
        message = SetTyping(session.user_id, False)
        self._actors.tell("conversation", conversation_id, message)

    async def _place(
        self, session: Session, person: Id | None, conversation_id: Id | None, verb: Verb
    ) -> Place:
        key = self._key(session, person, conversation_id, "to" if verb is Verb.MESSAGE else "friendId")
        if person is not None:
            return await self._conversations.direct(session.user_id, person)
        return await self._conversations.place(session.user_id, key, verb)

    def _key(self, session: Session, person: Id | None, conversation_id: Id | None, field: str) -> Id:
        """The conversation that is meant, whether there is one or not."""
        if (person is None) == (conversation_id is None):
            raise Invalid.field(field, f"give either {field} or conversationId")
        return conversation_id or self._conversations.direct_id(session.user_id, person or "")
