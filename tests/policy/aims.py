"""How each route and each event is aimed at a person or at a thing of theirs. None is left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from realtime.policy import Verb
from tests.clients import Json, Reply, new_key
from tests.policy.cast import THINGS, Words

Shows = Callable[[Json, Words], bool]

HARMLESS, CHANGING, REMOVING, LAST = range(4)
"""When it is tried: what changes what two people are to each other, or takes away what others need, later."""


@dataclass(frozen=True)
class Aim:
    """A well-formed request, with words in braces for whom and what it is about."""

    path: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Json = None
    verb: Verb | None = None
    """What decides about this aim, when it is not the door's own verb."""
    shows: Shows | None = None
    """For lists: whether an answer has the person in it. Who may not see them finds a list without."""
    surely: bool = True
    """Whether a list shows everybody it may show."""
    about: str = ""
    """What it is about, when the request does not say it."""
    fine: frozenset[int] = frozenset()
    """What an allowed request may be answered with, beside success and 409."""
    when: int = HARMLESS

    @property
    def is_aimed(self) -> bool:
        """Whether it is about another person or a thing of theirs."""
        return self.is_about(*THINGS)

    def is_about(self, *things: str) -> bool:
        said = repr((self.path, self.query, self.body, self.about))
        return any(f"{{{thing}}}" in said for thing in things)

    def at(self, words: Words) -> "Aim":
        """The same with words filled in."""
        known = {**words, "key": new_key(), "name": f"n{new_key()[:12]}".replace("-", "")}
        return Aim(_fill(self.path, known), _fill(self.query, known), _fill(self.body, known))


def _fill(template: Any, words: Words) -> Any:
    if isinstance(template, str):
        return template.format_map(words) if "{" in template else template
    if isinstance(template, Mapping):
        entries = cast("Mapping[str, Any]", template).items()
        return {_fill(name, words): _fill(value, words) for name, value in entries}
    if isinstance(template, list):
        return [_fill(one, words) for one in cast("list[Any]", template)]
    return template


def _path(**path: str) -> Aim:
    return Aim(path=path)


def _says(when: int = HARMLESS, /, **body: Json) -> Aim:
    return Aim(body=body, when=when)


def _listed(*names: str) -> Shows:
    """Whether a list, at `names` of the answer, has an entry about the person."""

    def shows(data: Json, words: Words) -> bool:
        for name in names:
            data = data[name]
        return any(words["person"] in _ids(entry) for entry in data)

    return shows


def _ids(entry: Json) -> set[str | None]:
    user = entry.get("user") or {}
    return {entry.get("id"), entry.get("userId"), user.get("id")}


def _streams(thing: str) -> Shows:
    return lambda data, words: words[thing] in data["streams"]


def _said_in(thing: str) -> Shows:
    """Whether something that was said there is among the messages."""
    return lambda data, words: words[thing] in {message["conversationId"] for message in data}


ALONE = [Aim()]
PERSON = "{person}"
BEFRIENDS = [_says(CHANGING, userId=PERSON)]
PROBES = ("", "docs", "docs/realtime", "docs/openapi.json", "docs/asyncapi.json", "health", "livez", "readyz", "info", "metrics")  # fmt: skip  # noqa: E501
SEND: dict[str, Json] = {"text": "hello", "clientId": "{key}"}
REACT: dict[str, Json] = {"emoji": "👍"}

ROUTES: dict[str, list[Aim]] = {
    **{f"GET /{name}": ALONE for name in PROBES},
    "GET /docs/assets/{name}": [_path(name="style.css")],
    # -- accounts
    "POST /api/auth/signup": [
        _says(email="{name}@example.org", password="{key}", name="New", handle="{name}"),
    ],
    "POST /api/auth/register": [_says(username="{name}", password="{key}")],
    "POST /api/register": [_says(username="{name}", password="{key}")],
    "POST /api/auth/login": [_says(identifier="{name}", password="{key}")],
    "POST /api/login": [_says(username="{name}", password="{key}")],
    "POST /api/auth/logout": [_says(refresh_token="{key}")],
    "POST /api/logout": [_says(refresh_token="{key}")],
    "POST /api/auth/refresh": [_says(refresh_token="{key}")],
    "POST /api/auth/forgot-password": [_says(email="{name}@example.org")],
    "POST /api/auth/reset-password": [_says(token="{key}", password="{key}")],
    "POST /api/auth/change-password": [
        _says(LAST, current_password="{my_password}", new_password="{my_password}+")
    ],
    "GET /api/auth/me": ALONE,
    "GET /api/auth/sessions": ALONE,
    "DELETE /api/auth/sessions/{id}": [_path(id="{session}")],
    "POST /api/account/export": ALONE,
    "GET /api/account/export": [Aim(fine=frozenset({404}))],
    "GET /api/account/export/download": [Aim(fine=frozenset({404}))],
    "POST /api/account/deletion": [_says(LAST, password="{my_password}+")],
    "POST /api/account/deletion/cancel": [_says(token="{key}")],
    # -- people
    "GET /api/users/search": [Aim(query={"q": "{username}"}, shows=_listed())],
    "GET /api/search": [
        Aim(query={"q": "{username}"}, shows=_listed()),
        Aim(
            query={"q": "hello", "type": "messages"},
            shows=_said_in("chat"),
            about="{chat}",
            verb=Verb.SEE_CHAT,
        ),
        Aim(
            query={"q": "hello", "type": "messages"},
            shows=_said_in("group"),
            about="{group}",
            verb=Verb.READ_CONVERSATION,
        ),
    ],
    "GET /api/users/{userId}": [_path(userId=PERSON)],
    "PATCH /api/users/{userId}/profile": [Aim(path={"userId": PERSON}, body={"bio": "new"})],
    "GET /api/presence": [Aim(query={"userIds": PERSON}, shows=_listed("states"))],
    "PUT /api/presence": [_says(mode="visible")],
    # -- friends
    "POST /api/friends/request": BEFRIENDS,
    "POST /api/friends/accept": [Aim(body={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "POST /api/friends/reject": [Aim(body={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "POST /api/friends/cancel": [Aim(body={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "DELETE /api/friends/{userId}": [Aim(path={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "POST /api/friends/block": BEFRIENDS,
    "POST /api/friends/unblock": BEFRIENDS,
    "GET /api/friends/suggestions": [Aim(shows=_listed(), surely=False)],
    "DELETE /api/friends/suggestions/{userId}": [_path(userId=PERSON)],
    "GET /api/friends/requests": ALONE,
    "GET /api/friends/blocked": ALONE,
    "GET /api/friends/{userId}": [_path(userId=PERSON)],
    "GET /api/friends/mutual/{userId}": [_path(userId=PERSON)],
    "GET /api/get_friends/{username}/": [_path(username="{username}")],
    "POST /api/friend-requests/send/": [Aim(body={"from": "{me}", "to": "{username}"}, when=CHANGING)],
    "POST /api/friend-requests/accept/": [
        Aim(body={"from": "{username}", "to": "{me}"}, fine=frozenset({404}), when=CHANGING)
    ],
    # -- messages
    "GET /api/messages/conversations": ALONE,
    "POST /api/messages": [
        _says(to=PERSON, **SEND),
        Aim(body={"conversationId": "{chat}", **SEND}, verb=Verb.MESSAGE),
        Aim(body={"conversationId": "{group}", **SEND}, verb=Verb.READ_CONVERSATION),
    ],
    "GET /api/messages/{userId}": [_path(userId=PERSON)],
    "POST /api/messages/{messageId}/read": [
        _path(messageId="{message}"),
        Aim(path={"messageId": "{chat_message}"}, verb=Verb.SEE_CHAT),
    ],
    "PATCH /api/messages/{messageId}": [
        Aim(path={"messageId": "{message}"}, body={"messageId": "{message}", "text": "new"}),
        Aim(
            path={"messageId": "{chat_message}"},
            body={"messageId": "{chat_message}", "text": "new"},
            verb=Verb.SEE_CHAT,
        ),
    ],
    "DELETE /api/messages/{messageId}": [
        Aim(path={"messageId": "{message}"}, when=REMOVING),
        Aim(path={"messageId": "{chat_message}"}, verb=Verb.SEE_CHAT, when=REMOVING),
    ],
    "POST /api/messages/{messageId}/reactions": [
        Aim(path={"messageId": "{message}"}, body={"messageId": "{message}", **REACT}),
        Aim(
            path={"messageId": "{chat_message}"},
            body={"messageId": "{chat_message}", **REACT},
            verb=Verb.SEE_CHAT,
        ),
    ],
    "POST /api/sync": [
        Aim(body={"streams": {"{chat}": 0}}, verb=Verb.SEE_CHAT, shows=_streams("chat")),
        Aim(body={"streams": {"{group}": 0}}, verb=Verb.READ_CONVERSATION, shows=_streams("group")),
    ],
    "POST /api/conversations": [_says(name="new", memberIds=[PERSON])],
    "GET /api/conversations/{id}": [_path(id="{group}"), Aim(path={"id": "{chat}"}, verb=Verb.SEE_CHAT)],
    "PATCH /api/conversations/{id}": [
        Aim(path={"id": "{group}"}, body={"name": "new"}),
        Aim(path={"id": "{chat}"}, body={"muted": False}, verb=Verb.SEE_CHAT),
    ],
    "POST /api/conversations/{id}/members": [
        Aim(path={"id": "{my_group}"}, body={"userId": PERSON}),
        Aim(path={"id": "{group}"}, body={"userId": "{my_id}"}, verb=Verb.MANAGE_CONVERSATION),
    ],
    "DELETE /api/conversations/{id}/members/{userId}": [
        Aim(path={"id": "{group}", "userId": "{company}"}, when=REMOVING)
    ],
    "GET /api/conversations/{id}/messages": [
        _path(id="{group}"),
        Aim(path={"id": "{chat}"}, verb=Verb.SEE_CHAT),
    ],
    # -- notifications and pushes
    "GET /api/notifications": ALONE,
    "PATCH /api/notifications/{id}/read": [_path(id="{notification}")],
    "POST /api/notifications/read-all": ALONE,
    "DELETE /api/notifications/{id}": [Aim(path={"id": "{notification}"}, when=REMOVING)],
    "GET /api/notifications/preferences": ALONE,
    "PATCH /api/notifications/preferences": [_says(types={"post_like": {"list": True, "push": False}})],
    "POST /api/devices": [_says(platform="android", token="x" * 140 + "{key}")],
    "GET /api/devices": ALONE,
    "GET /api/devices/web-key": [Aim(fine=frozenset({404}))],
    "DELETE /api/devices/{id}": [Aim(path={"id": "{device}"}, when=REMOVING)],
    # -- media
    "POST /api/upload": [Aim(fine=frozenset({415}))],
    "GET /api/media": ALONE,
    "GET /api/media/{fileId}": [_path(fileId="{medium}")],
    "GET /api/media/{fileId}/url": [_path(fileId="{medium}")],
    "DELETE /api/media/{fileId}": [Aim(path={"fileId": "{medium}"}, when=REMOVING)],
    "OPTIONS /api/uploads": ALONE,
    "POST /api/uploads": [Aim(fine=frozenset({412}))],
    "GET /api/uploads/{id}": [_path(id="{upload}")],
    "PATCH /api/uploads/{id}": [Aim(fine=frozenset({412}), path={"id": "{key}"})],
    "DELETE /api/uploads/{id}": [Aim(fine=frozenset({412}), path={"id": "{key}"})],
    "POST /api/upload_user_image/": [Aim(fine=frozenset({415}))],
    "GET /api/user_images/{username}/": [_path(username="{username}")],
    "POST /api/multiple_user_images/": [_says(usernames=["{username}"])],
    "POST /api/user_image/{id}/set_primary/": [_path(id="{picture}")],
    "POST /api/user_image/{id}/delete/": [Aim(path={"id": "{picture}"}, when=REMOVING)],
    "DELETE /api/user_image/{id}/delete/": [Aim(path={"id": "{picture}"}, when=REMOVING)],
    "GET /api/user_image/{id}/serve/": [_path(id="{picture}")],
    "POST /api/upload/image": [Aim(fine=frozenset({415}))],
    "GET /api/upload/presigned-url": [Aim(query={"filename": "a.png", "content_type": "image/png"})],
    "PUT /api/upload/direct/{id}": [Aim(path={"id": "{key}"}, query={"signature": "{key}"})],
    "POST /api/upload/complete": [Aim(body={"key": "{key}"}, fine=frozenset({404}))],
    "GET /api/upload/images": ALONE,
    "DELETE /api/upload/image/{key:.+}": [Aim(path={"key": "general/{upload}"}, fine=frozenset({404}))],
    # -- moderation
    "POST /api/reports": [
        _says(targetType="user", targetId=PERSON, reason="spam"),
        Aim(
            body={"targetType": "message", "targetId": "{message}", "reason": "spam"},
            verb=Verb.READ_CONVERSATION,
            fine=frozenset({403, 422}),
        ),
    ],
    "GET /api/reports": ALONE,
    "GET /api/sanctions": ALONE,
    "POST /api/appeals": [_says(token="{key}", text="It was not me.")],
    "GET /api/appeals": ALONE,
    "GET /api/admin/reports": ALONE,
    "GET /api/admin/reports/{id}": [_path(id="{case}")],
    "POST /api/admin/reports/{id}/claim": [_path(id="{case}")],
    "POST /api/admin/reports/{id}/release": [_path(id="{case}")],
    "POST /api/admin/reports/{id}/resolve": [
        Aim(path={"id": "{case}"}, body={"action": "none"}, when=CHANGING)
    ],
    "POST /api/admin/reports/{id}/dismiss": [Aim(path={"id": "{case}"}, body={}, when=REMOVING)],
    "GET /api/admin/users/{id}/actions": [_path(id=PERSON)],
    "POST /api/admin/users/{id}/actions": [
        Aim(path={"id": PERSON}, body={"action": "warn", "reason": "you know why"})
    ],
    "POST /api/admin/actions/{id}/reverse": [Aim(path={"id": "{action}"}, body={"reason": "a mistake"})],
    # -- administration
    "GET /api/admin/users": ALONE,
    "GET /api/admin/users/pending": ALONE,
    "GET /api/admin/audit": ALONE,
    "GET /api/admin/users/{id}": [_path(id=PERSON)],
    "PUT /api/admin/users/{id}": [Aim(path={"id": PERSON}, body={"is_certified": True})],
    "POST /api/admin/users/{id}/approve": [_path(id=PERSON)],
    "POST /api/admin/users/{id}/reject": [_path(id=PERSON)],
    "DELETE /api/admin/users/{id}": [Aim(path={"id": PERSON}, when=REMOVING)],
}

EVENTS: dict[str, list[Aim]] = {
    "ping": [_says()],
    "join_room": [
        _says(conversationId="{group}"),
        Aim(body={"conversationId": "{chat}"}, verb=Verb.SEE_CHAT),
        Aim(body={"friendId": PERSON}, verb=Verb.MESSAGE),
    ],
    "leave_room": [
        _says(conversationId="{group}"),
        Aim(body={"conversationId": "{chat}"}, verb=Verb.SEE_CHAT),
    ],
    "send_message": [
        _says(to=PERSON, **SEND),
        Aim(body={"conversationId": "{chat}", **SEND}, verb=Verb.MESSAGE),
        Aim(body={"conversationId": "{group}", **SEND}, verb=Verb.READ_CONVERSATION),
    ],
    "typing": [
        _says(to=PERSON, isTyping=False),
        Aim(body={"conversationId": "{chat}", "isTyping": True}, verb=Verb.MESSAGE),
        Aim(body={"conversationId": "{group}", "isTyping": True}, verb=Verb.READ_CONVERSATION),
    ],
    "mark_read": [
        _says(messageId="{message}"),
        _says(conversationId="{group}", seq=1),
        Aim(body={"messageId": "{chat_message}"}, verb=Verb.SEE_CHAT),
    ],
    "edit_message": [
        _says(messageId="{message}", text="newer"),
        Aim(body={"messageId": "{chat_message}", "text": "newer"}, verb=Verb.SEE_CHAT),
    ],
    "delete_message": [
        _says(REMOVING, messageId="{message}"),
        Aim(body={"messageId": "{chat_message}"}, verb=Verb.SEE_CHAT, when=REMOVING),
    ],
    "react_message": [
        _says(messageId="{message}", **REACT),
        Aim(body={"messageId": "{chat_message}", **REACT}, verb=Verb.SEE_CHAT),
    ],
    "presence_query": [Aim(body={"userIds": [PERSON]}, shows=_listed("states"))],
    "presence_set": [_says(mode="visible")],
    "sync": ROUTES["POST /api/sync"],
    "auth_refresh": [_says(token="{my_token}")],
    "app_state": [_says(state="foreground")],
    "read_notification": [_says(id="{notification}")],
    "read_all_notifications": [_says()],
}


def _without(value: Json, *names: str) -> Json:
    if not isinstance(value, dict):
        return value
    entries = cast("dict[str, Any]", value).items()
    return {name: _without(inner, *names) for name, inner in entries if name not in names}


def said(answer: Reply, words: Words) -> Json:
    """An answer without what differs from request to request, and with words for what it is about."""
    text = repr((answer.status, _without(answer.body, "request_id", "updates")))
    for thing in THINGS:
        text = text.replace(words[thing], f"{{{thing}}}")
    return text
