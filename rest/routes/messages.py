"""Messages and conversations over HTTP: the same services as the socket, the same `clientId`."""

from datetime import datetime

from aiohttp import web
from pydantic import Field

from common.errors import Invalid
from realtime.channels import Wire
from realtime.features.conversations.schemas import (
    ConversationChange,
    ConversationOut,
    GroupIn,
    MemberIn,
    ReadOut,
)
from realtime.features.messages.schemas import (
    ConversationEntry,
    DeleteIn,
    EditIn,
    MessageIn,
    MessageOut,
    ReactIn,
    ReadIn,
    Seq,
)
from realtime.features.sync.schemas import SyncIn, SyncOut
from realtime.policy import Verb
from rest.openapi import body, docs, json_schema, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, path_id, reply, reply_page, services

routes = web.RouteTableDef()

LIST = "conversations"


class HistoryQuery(Wire):
    """A page of history: the newest messages, those before a seq, or those after one."""

    before: int | None = Field(default=None, ge=1, le=2**53)
    after: Seq | None = Field(default=None, strict=False)
    limit: int = Field(default=50, ge=1, le=100)


@routes.get("/api/messages/conversations")
@docs(
    tags=["messages"],
    summary="One's conversations by activity, with last message and unread count",
    verb=Verb.OWN,
)
@querystring_schema(PageQuery)
@response_schema(list[ConversationEntry])
async def list_conversations(request: web.Request) -> web.Response:
    """Newest activity first; the cursor neither skips nor repeats while messages arrive."""
    wanted, user_id = query(request, PageQuery), caller(request).user_id
    app = services(request)
    position = wanted.position(request, LIST)
    before = (datetime.fromisoformat(position[0]), position[1]) if position else None
    skip = 0 if before else wanted.offset
    shown, last = await app.messages.conversations_page(user_id, wanted.limit, before, skip)
    behind = (last[0].isoformat(), last[1]) if last else None
    page = Page(wanted, await app.conversations.count(user_id), behind, LIST)
    return reply_page(request, shown, page)


@routes.post("/api/messages")
@docs(tags=["messages"], summary="Send a message", verb=Verb.MESSAGE)
@json_schema(MessageIn)
@response_schema(MessageOut, 201)
async def send_message(request: web.Request) -> web.Response:
    """The same as the event `send_message`: the same `clientId` through both doors is one message."""
    message = await services(request).messages.send(caller(request).user_id, body(request, MessageIn))
    return reply(message, status=201, message="Message sent")


@routes.get("/api/messages/{userId}")
@docs(tags=["messages"], summary="History of the direct conversation with a person", verb=Verb.SEE_CHAT)
@querystring_schema(HistoryQuery)
@response_schema(list[MessageOut])
async def direct_history(request: web.Request) -> web.Response:
    """Newest first, or oldest first behind `after`."""
    app, other = services(request), path_id(request, "userId")
    place = await app.conversations.existing_direct(caller(request).user_id, other)
    wanted = query(request, HistoryQuery)
    if place is None:
        return reply([])
    return reply(await app.messages.history(place, wanted.limit, before=wanted.before, after=wanted.after))


@routes.post("/api/messages/{messageId}/read")
@docs(tags=["messages"], summary="Mark everything up to a message read", verb=Verb.READ_CONVERSATION)
@response_schema(ReadOut)
async def mark_read(request: web.Request) -> web.Response:
    """The same as the event `mark_read`."""
    wanted = ReadIn(message_id=path_id(request, "messageId"))
    return reply(await services(request).messages.mark_read(caller(request).user_id, wanted))


@routes.patch("/api/messages/{messageId}")
@docs(tags=["messages"], summary="Edit one's own message", verb=Verb.READ_CONVERSATION)
@json_schema(EditIn)
@response_schema(MessageOut)
async def edit_message(request: web.Request) -> web.Response:
    """The same as the event `edit_message`."""
    wanted = body(request, EditIn)
    if wanted.message_id != path_id(request, "messageId"):
        raise Invalid.field("messageId", "does not match the address")
    return reply(await services(request).messages.edit(caller(request).user_id, wanted))


@routes.delete("/api/messages/{messageId}")
@docs(tags=["messages"], summary="Delete a message for everyone", verb=Verb.READ_CONVERSATION)
@response_schema(MessageOut)
async def delete_message(request: web.Request) -> web.Response:
    """The same as the event `delete_message`."""
    wanted = DeleteIn(message_id=path_id(request, "messageId"))
    return reply(await services(request).messages.delete(caller(request).user_id, wanted))


@routes.post("/api/messages/{messageId}/reactions")
@docs(tags=["messages"], summary="React to a message, or take it back", verb=Verb.READ_CONVERSATION)
@json_schema(ReactIn)
@response_schema(MessageOut)
async def react_message(request: web.Request) -> web.Response:
    """The same as the event `react_message`."""
    wanted = body(request, ReactIn)
    if wanted.message_id != path_id(request, "messageId"):
        raise Invalid.field("messageId", "does not match the address")
    return reply(await services(request).messages.react(caller(request).user_id, wanted))


@routes.post("/api/conversations")
@docs(tags=["conversations"], summary="Found a group", verb=Verb.ADD_TO_GROUP)
@json_schema(GroupIn)
@response_schema(ConversationOut, 201)
async def create_group(request: web.Request) -> web.Response:
    """The caller owns it; everyone named is a member."""
    group = await services(request).groups.create(caller(request).user_id, body(request, GroupIn))
    return reply(group, status=201, message="Conversation created")


@routes.get("/api/conversations/{id}")
@docs(tags=["conversations"], summary="A conversation of one's own", verb=Verb.READ_CONVERSATION)
@response_schema(ConversationOut)
async def get_conversation(request: web.Request) -> web.Response:
    """With members, roles and positions."""
    shown = await services(request).conversations.show(caller(request).user_id, path_id(request, "id"))
    return reply(shown)


@routes.patch("/api/conversations/{id}")
@docs(
    tags=["conversations"],
    summary="Rename a group, or mute a conversation for oneself",
    verb=Verb.MANAGE_CONVERSATION,
)
@json_schema(ConversationChange)
@response_schema(ConversationOut)
async def change_conversation(request: web.Request) -> web.Response:
    """The name is for owner and admins, muting for oneself."""
    change = body(request, ConversationChange)
    shown = await services(request).groups.change(caller(request).user_id, path_id(request, "id"), change)
    return reply(shown)


@routes.post("/api/conversations/{id}/members")
@docs(tags=["conversations"], summary="Add a member, or change a role", verb=Verb.ADD_TO_GROUP)
@json_schema(MemberIn)
@response_schema(ConversationOut)
async def set_member(request: web.Request) -> web.Response:
    """Owner and admins add; the owner gives roles, and with `owner` hands the group over."""
    member = body(request, MemberIn)
    shown = await services(request).groups.set_member(caller(request).user_id, path_id(request, "id"), member)
    return reply(shown)


@routes.delete("/api/conversations/{id}/members/{userId}")
@docs(tags=["conversations"], summary="Leave, or remove a member", verb=Verb.MANAGE_CONVERSATION)
@response_schema(None)
async def remove_member(request: web.Request) -> web.Response:
    """An owner who leaves is succeeded by the longest-serving admin, else member."""
    who, conversation = path_id(request, "userId"), path_id(request, "id")
    await services(request).groups.remove_member(caller(request).user_id, conversation, who)
    return reply(None, message="Member removed")


@routes.get("/api/conversations/{id}/messages")
@docs(tags=["conversations"], summary="History of a conversation", verb=Verb.READ_CONVERSATION)
@querystring_schema(HistoryQuery)
@response_schema(list[MessageOut])
async def history(request: web.Request) -> web.Response:
    """Newest first, or oldest first behind `after`."""
    app = services(request)
    place = await app.conversations.place(caller(request).user_id, path_id(request, "id"))
    wanted = query(request, HistoryQuery)
    return reply(await app.messages.history(place, wanted.limit, before=wanted.before, after=wanted.after))


@routes.post("/api/sync")
@docs(tags=["messages"], summary="Everything after the positions one has", verb=Verb.OWN)
@json_schema(SyncIn)
@response_schema(SyncOut)
async def sync(request: web.Request) -> web.Response:
    """The same as the event `sync`."""
    return reply(await services(request).sync.sync(caller(request).user_id, body(request, SyncIn)))
