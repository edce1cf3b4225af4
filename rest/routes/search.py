"""Finding people, and what was said in one's conversations."""

from collections.abc import Sequence
from datetime import datetime

from aiohttp import web

from realtime.channels import Wire
from realtime.features.accounts.schemas.common import Window
from realtime.features.accounts.schemas.users import UserCard
from realtime.features.messages.schemas import MessageOut
from realtime.features.search.schemas import FoundMessages, MessageWindow, SearchIn, Words
from realtime.policy import Verb
from rest.openapi import docs, query, querystring_schema, response_schema
from rest.reply import Page, PageQuery, caller, reply_page, services

routes = web.RouteTableDef()

TAGS = ["search"]


class WordsIn(Wire):
    """Words to look for."""

    q: Words


class PeopleQuery(PageQuery, WordsIn):
    """Words to look for, and which part of what is found."""


class SearchQuery(PageQuery, SearchIn):
    """Words to look for, in what, and which part of what is found."""


@routes.get("/api/search")
@docs(tags=TAGS, summary="Find people or messages", verb=Verb.SEARCH)
@querystring_schema(SearchQuery)
@response_schema(list[UserCard] | list[MessageOut])
async def search(request: web.Request) -> web.Response:
    """Every word of `q` must be there, in any script, without regard to case and accents.

    `type=users`: in names, handles and interests that everybody may see. First the very handle, then handles
    that begin so, names that begin so, people of whom words begin so, and people of whom words hold it; in
    each of these friends, then people with friends in common, then everybody else. `total` is exact up to
    200, and about right above.

    `type=messages`: in conversations one may read now, or in the one of `conversationId`; newest first. A new
    message is found after a moment, by the first 2,000 characters. Without `conversationId` the 1,000
    conversations that were active last are searched.

    Beginnings of words find them, and parts of three letters; of scripts without spaces any part does. A page
    may be short although `next_cursor` goes on: each request reads no more than a bounded part of the index.
    """
    wanted = query(request, SearchQuery)
    if wanted.type == "users":
        return await _people(request, wanted, wanted.q)
    return await _messages(request, wanted)


@routes.get("/api/users/search")
@docs(tags=["users"], summary="Find people by name, handle or interests", verb=Verb.SEARCH)
@querystring_schema(PeopleQuery)
@response_schema(list[UserCard])
async def search_users(request: web.Request) -> web.Response:
    """The same as `/api/search` with `type=users`."""
    wanted = query(request, PeopleQuery)
    return await _people(request, wanted, wanted.q)


async def _people(request: web.Request, wanted: PageQuery, words: str) -> web.Response:
    kind = f"users:{words}"
    window = Window(wanted.limit, wanted.offset, wanted.position(request, kind))
    found = await services(request).search.people(caller(request).user_id, words, window)
    return reply_page(request, found.items, Page(wanted, found.total, found.behind, kind))


async def _messages(request: web.Request, wanted: SearchQuery) -> web.Response:
    kind = f"messages:{wanted.conversation_id or ''}:{wanted.q}"
    behind = wanted.position(request, kind)
    window = MessageWindow(wanted.limit, wanted.offset, conversation_id=wanted.conversation_id)
    if behind is not None:
        at, last, total = behind
        before = (datetime.fromisoformat(at), last)
        window = MessageWindow(wanted.limit, 0, before, int(total), wanted.conversation_id)
    found = await services(request).search.messages(caller(request).user_id, wanted.q, window)
    return reply_page(request, found.items, Page(wanted, found.total, _behind(found), kind))


def _behind(found: FoundMessages) -> Sequence[str] | None:
    if found.behind is None:
        return None
    at, last = found.behind
    return (at.isoformat(), last, str(found.total))
