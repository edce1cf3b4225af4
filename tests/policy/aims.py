"""How each route and each event is aimed at a person or at a thing of theirs. None is left out."""

from realtime.policy import Verb
from tests.clients import Json
from tests.policy.aiming import (
    CHANGING,
    LAST,
    REMOVING,
    Aim,
    listed,
    path,
    pictured,
    said_in,
    says,
    streams,
)

ALONE = [Aim()]
PERSON = "{person}"
BEFRIENDS = [says(CHANGING, userId=PERSON)]
PROBES = ("", "docs", "docs/realtime", "docs/openapi.json", "docs/asyncapi.json", "health", "livez", "readyz", "info", "metrics")  # fmt: skip  # noqa: E501
SEND: dict[str, Json] = {"text": "hello", "clientId": "{key}"}
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
REACT: dict[str, Json] = {"emoji": "👍"}

ROUTES: dict[str, list[Aim]] = {
    **{f"GET /{name}": ALONE for name in PROBES},
    "GET /docs/assets/{name}": [path(name="style.css")],
    # -- accounts
    "POST /api/auth/signup": [
        says(email="{name}@example.org", password="{key}", name="New", handle="{name}"),
    ],
    "POST /api/auth/register": [says(username="{name}", password="{key}")],
    "POST /api/register": [says(username="{name}", password="{key}")],
    "POST /api/auth/login": [says(identifier="{name}", password="{key}")],
    "POST /api/login": [says(username="{name}", password="{key}")],
    "POST /api/auth/logout": [says(refresh_token="{key}")],
    "POST /api/logout": [says(refresh_token="{key}")],
    "POST /api/auth/refresh": [says(refresh_token="{key}")],
    "POST /api/auth/forgot-password": [says(email="{name}@example.org")],
    "POST /api/auth/reset-password": [says(token="{key}", password="{key}")],
    "POST /api/auth/change-password": [
        says(LAST, current_password="{my_password}", new_password="{my_password}+")
    ],
    "GET /api/auth/me": ALONE,
    "GET /api/auth/sessions": ALONE,
    "DELETE /api/auth/sessions/{id}": [path(id="{session}")],
    "POST /api/account/export": ALONE,
    "GET /api/account/export": [Aim(fine=frozenset({404}))],
    "GET /api/account/export/download": [Aim(fine=frozenset({404}))],
    "POST /api/account/deletion": [says(LAST, password="{my_password}+")],
    "POST /api/account/deletion/cancel": [says(token="{key}")],
    # -- people
    "GET /api/users/search": [Aim(query={"q": "{username}"}, shows=listed())],
    "GET /api/search": [
        Aim(query={"q": "{username}"}, shows=listed()),
        Aim(
            query={"q": "hello", "type": "messages"},
            shows=said_in("chat"),
            about="{chat}",
            verb=Verb.SEE_CHAT,
        ),
        Aim(
            query={"q": "hello", "type": "messages"},
            shows=said_in("group"),
            about="{group}",
            verb=Verb.READ_CONVERSATION,
        ),
    ],
    "GET /api/users/{userId}": [path(userId=PERSON)],
    "PATCH /api/users/{userId}/profile": [Aim(path={"userId": PERSON}, body={"bio": "new"})],
    "GET /api/presence": [Aim(query={"userIds": PERSON}, shows=listed("states"))],
    "PUT /api/presence": [says(mode="visible")],
    # -- friends
    "POST /api/friends/request": BEFRIENDS,
    "POST /api/friends/accept": [Aim(body={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "POST /api/friends/reject": [Aim(body={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "POST /api/friends/cancel": [Aim(body={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "DELETE /api/friends/{userId}": [Aim(path={"userId": PERSON}, fine=frozenset({404}), when=CHANGING)],
    "POST /api/friends/block": BEFRIENDS,
    "POST /api/friends/unblock": BEFRIENDS,
    "GET /api/friends/suggestions": [Aim(shows=listed(), surely=False)],
    "DELETE /api/friends/suggestions/{userId}": [path(userId=PERSON)],
    "GET /api/friends/requests": ALONE,
    "GET /api/friends/blocked": ALONE,
    "GET /api/friends/{userId}": [path(userId=PERSON)],
    "GET /api/friends/mutual/{userId}": [path(userId=PERSON)],
    "GET /api/get_friends/{username}/": [path(username="{username}")],
    "POST /api/friend-requests/send/": [Aim(body={"from": "{me}", "to": "{username}"}, when=CHANGING)],
    "POST /api/friend-requests/accept/": [
        Aim(body={"from": "{username}", "to": "{me}"}, fine=frozenset({404}), when=CHANGING)
    ],
    # -- messages
    "GET /api/messages/conversations": ALONE,
    "POST /api/messages": [
        says(to=PERSON, **SEND),
        Aim(body={"conversationId": "{chat}", **SEND}, verb=Verb.MESSAGE),
        Aim(body={"conversationId": "{group}", **SEND}, verb=Verb.READ_CONVERSATION),
    ],
    "GET /api/messages/{userId}": [path(userId=PERSON)],
    "POST /api/messages/{messageId}/read": [
        path(messageId="{message}"),
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
        Aim(body={"streams": {"{chat}": 0}}, verb=Verb.SEE_CHAT, shows=streams("chat")),
        Aim(body={"streams": {"{group}": 0}}, verb=Verb.READ_CONVERSATION, shows=streams("group")),
    ],
    "POST /api/conversations": [says(name="new", memberIds=[PERSON])],
    "GET /api/conversations/{id}": [path(id="{group}"), Aim(path={"id": "{chat}"}, verb=Verb.SEE_CHAT)],
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
        path(id="{group}"),
        Aim(path={"id": "{chat}"}, verb=Verb.SEE_CHAT),
    ],
    # -- notifications and pushes
    "GET /api/notifications": ALONE,
    "PATCH /api/notifications/{id}/read": [path(id="{notification}")],
    "POST /api/notifications/read-all": ALONE,
    "DELETE /api/notifications/{id}": [Aim(path={"id": "{notification}"}, when=REMOVING)],
    "GET /api/notifications/preferences": ALONE,
    "PATCH /api/notifications/preferences": [says(types={"post_like": {"list": True, "push": False}})],
    "POST /api/devices": [says(platform="android", token="x" * 140 + "{key}")],
    "GET /api/devices": ALONE,
    "GET /api/devices/web-key": [Aim(fine=frozenset({404}))],
    "DELETE /api/devices/{id}": [Aim(path={"id": "{device}"}, when=REMOVING)],
    # -- media
    "POST /api/upload": [Aim(fine=frozenset({415}))],
    "GET /api/media": ALONE,
    "GET /api/media/{fileId}": [path(fileId="{medium}")],
    "GET /api/media/{fileId}/url": [path(fileId="{medium}")],
    "DELETE /api/media/{fileId}": [Aim(path={"fileId": "{medium}"}, when=REMOVING)],
    "OPTIONS /api/uploads": ALONE,
    "POST /api/uploads": [Aim(headers={**TUS, "Upload-Length": "10"})],
    "GET /api/uploads/{id}": [path(id="{upload}")],
    "PATCH /api/uploads/{id}": [Aim(path={"id": "{upload}"}, headers=PIECE)],
    "DELETE /api/uploads/{id}": [Aim(path={"id": "{upload}"}, headers=TUS, when=REMOVING)],
    "POST /api/upload_user_image/": [Aim(fine=frozenset({415}))],
    "GET /api/user_images/{username}/": [path(username="{username}")],
    "POST /api/multiple_user_images/": [Aim(body={"usernames": ["{username}"]}, shows=pictured)],
    "POST /api/user_image/{id}/set_primary/": [path(id="{picture}")],
    "POST /api/user_image/{id}/delete/": [Aim(path={"id": "{picture}"}, when=REMOVING)],
    "DELETE /api/user_image/{id}/delete/": [
        Aim(path={"id": "{picture}"}, fine=frozenset({404}), when=REMOVING)
    ],
    "GET /api/user_image/{id}/serve/": [path(id="{picture}")],
    "POST /api/upload/image": [Aim(fine=frozenset({415}))],
    "GET /api/upload/presigned-url": [Aim(query={"filename": "a.png", "content_type": "image/png"})],
    "PUT /api/upload/direct/{id}": [Aim(path={"id": "{key}"}, query={"signature": "{key}"})],
    "POST /api/upload/complete": [Aim(body={"key": "{key}"}, fine=frozenset({404}))],
    "GET /api/upload/images": ALONE,
    "DELETE /api/upload/image/{key:.+}": [Aim(path={"key": "general/{upload}"}, fine=frozenset({404}))],
    # -- moderation
    "POST /api/reports": [
        says(targetType="user", targetId=PERSON, reason="spam"),
        Aim(
            body={"targetType": "message", "targetId": "{message}", "reason": "spam"},
            verb=Verb.READ_CONVERSATION,
            fine=frozenset({403, 422}),
        ),
    ],
    "GET /api/reports": ALONE,
    "GET /api/sanctions": ALONE,
    "POST /api/appeals": [says(token="{key}", text="It was not me.")],
    "GET /api/appeals": ALONE,
    "GET /api/admin/reports": ALONE,
    "GET /api/admin/reports/{id}": [path(id="{case}")],
    "POST /api/admin/reports/{id}/claim": [path(id="{case}")],
    "POST /api/admin/reports/{id}/release": [path(id="{case}")],
    "POST /api/admin/reports/{id}/resolve": [
        Aim(path={"id": "{case}"}, body={"action": "none"}, when=CHANGING)
    ],
    "POST /api/admin/reports/{id}/dismiss": [Aim(path={"id": "{case}"}, body={}, when=REMOVING)],
    "GET /api/admin/users/{id}/actions": [path(id=PERSON)],
    "POST /api/admin/users/{id}/actions": [
        Aim(path={"id": PERSON}, body={"action": "warn", "reason": "you know why"})
    ],
    "POST /api/admin/actions/{id}/reverse": [Aim(path={"id": "{action}"}, body={"reason": "a mistake"})],
    # -- administration
    "GET /api/admin/users": ALONE,
    "GET /api/admin/users/pending": ALONE,
    "GET /api/admin/audit": ALONE,
    "GET /api/admin/users/{id}": [path(id=PERSON)],
    "PUT /api/admin/users/{id}": [Aim(path={"id": PERSON}, body={"is_certified": True})],
    "POST /api/admin/users/{id}/approve": [path(id=PERSON)],
    "POST /api/admin/users/{id}/reject": [path(id=PERSON)],
    "DELETE /api/admin/users/{id}": [Aim(path={"id": PERSON}, when=REMOVING)],
}

EVENTS: dict[str, list[Aim]] = {
    "ping": [says()],
    "join_room": [
        says(conversationId="{group}"),
        Aim(body={"conversationId": "{chat}"}, verb=Verb.SEE_CHAT),
        Aim(body={"friendId": PERSON}, verb=Verb.MESSAGE),
    ],
    "leave_room": [
        says(conversationId="{group}"),
        Aim(body={"conversationId": "{chat}"}, verb=Verb.SEE_CHAT),
    ],
    "send_message": [
        says(to=PERSON, **SEND),
        Aim(body={"conversationId": "{chat}", **SEND}, verb=Verb.MESSAGE),
        Aim(body={"conversationId": "{group}", **SEND}, verb=Verb.READ_CONVERSATION),
    ],
    "typing": [
        says(to=PERSON, isTyping=False),
        Aim(body={"conversationId": "{chat}", "isTyping": True}, verb=Verb.MESSAGE),
        Aim(body={"conversationId": "{group}", "isTyping": True}, verb=Verb.READ_CONVERSATION),
    ],
    "mark_read": [
        says(messageId="{message}"),
        says(conversationId="{group}", seq=1),
        Aim(body={"messageId": "{chat_message}"}, verb=Verb.SEE_CHAT),
    ],
    "edit_message": [
        says(messageId="{message}", text="newer"),
        Aim(body={"messageId": "{chat_message}", "text": "newer"}, verb=Verb.SEE_CHAT),
    ],
    "delete_message": [
        says(REMOVING, messageId="{message}"),
        Aim(body={"messageId": "{chat_message}"}, verb=Verb.SEE_CHAT, when=REMOVING),
    ],
    "react_message": [
        says(messageId="{message}", **REACT),
        Aim(body={"messageId": "{chat_message}", **REACT}, verb=Verb.SEE_CHAT),
    ],
    "presence_query": [Aim(body={"userIds": [PERSON]}, shows=listed("states"))],
    "presence_set": [says(mode="visible")],
    "sync": ROUTES["POST /api/sync"],
    "auth_refresh": [says(token="{my_token}")],
    "app_state": [says(state="foreground")],
    "read_notification": [says(id="{notification}")],
    "read_all_notifications": [says()],
}
