"""Every kind of document, and what it has to do with people. Whoever adds one says it here.

A copy holds what somebody said, did, chose or owns. It does not hold hashes and tokens, what others said or
noted about them, or what can be worked out from the rest.
"""

from common.ids import Id
from documents.accounts import (
    Activity,
    AdminAudit,
    LoginFailures,
    LoginSession,
    PasswordReset,
    SpentRefresh,
    User,
)
from documents.accounts.audit import AuditHead
from documents.circles import Circle, Untold
from documents.conversations import Conversation, Departure, Member
from documents.friends import Block, Friendship
from documents.media import Media
from documents.messages import Message
from documents.moderation import Case, Report, ReportCount, Sanction
from documents.notifications import Board, Notification, NotificationChoices
from documents.personal.chats import Closed, Forsaken, Silence, Unreact, in_which, own_reactions
from documents.personal.deletions import Deletion
from documents.personal.exports import Export, ExportPart
from documents.personal.holdings import (
    Copy,
    Delete,
    DeleteLast,
    DeletePrefixed,
    Elsewhere,
    Holding,
    Keep,
    Replace,
    ReplaceWith,
    TakeOut,
)
from documents.presence import Presence
from documents.push import PushDelivery, PushDevice
from documents.rows import Raw
from documents.search import MessageWords, WordsRead, WordsSweep
from documents.suggestions import Dismissals, SuggestionList
from documents.updates import Update


def _other(raw: Raw, user_id: Id) -> Raw:
    other = next(one for one in raw["pair"] if one != user_id)
    return {
        "user_id": other,
        "state": raw["state"],
        "asked_by_me": raw["asked_by"] == user_id,
        "asked_at": raw["asked_at"],
        "changed_at": raw["changed_at"],
    }


def _profile(raw: Raw, _: Id) -> Raw:
    return {("id" if name == "_id" else name): value for name, value in raw.items() if name not in _NOT_SHOWN}


_NOT_SHOWN = {
    "email_key",
    "handle_key",
    "handle_skeleton",
    "handle_claims",
    "password_hash",
    "guards",
    "leaving",
    "revision",
    "search_handle",
    "search_name",
    "search_text",
    "search_grams",
}
_SEALED = Keep("What administrators did stays provable: rows are sealed. The id in them leads nowhere.")
_ON_ITS_WAY = Keep("It is told within seconds, and then it is gone.")

_ACCOUNTS = (
    Holding(User, {"_id": DeleteLast()}, copy=Copy("profile", "_id", shape=_profile)),
    Holding(
        LoginSession,
        {"user_id": Delete()},
        others=("_id",),
        copy=Copy(
            "logins",
            "user_id",
            (
                "_id",
                "user_agent",
                "address",
                "created_at",
                "last_used_at",
                "expires_at",
                "revoked_at",
                "revoked_why",
            ),
        ),
    ),
    Holding(SpentRefresh, {}, others=("login_id",), copy="hashes, gone when their log-in would have ended"),
    Holding(
        PasswordReset,
        {"user_id": Delete()},
        copy=Copy("password_resets", "user_id", ("created_at", "expires_at", "used_at")),
    ),
    Holding(
        LoginFailures,
        {"_id": DeletePrefixed(("account:", "reset:"))},
        copy="counters that end by themselves",
    ),
    Holding(
        AdminAudit,
        {"actor": _SEALED, "target": _SEALED},
        others=("_id", "detail"),
        copy=Copy("decisions_about_me", "target", ("action", "at")),
    ),
    Holding(AuditHead, {}, copy="about nobody"),
    Holding(
        Activity,
        {"user_id": Delete()},
        others=("_id",),
        copy=Copy("points", "user_id", ("kind", "day", "points", "at")),
    ),
)
_FRIENDS = (
    Holding(
        Friendship,
        {"pair": Delete(), "asked_by": Elsewhere("pair")},
        others=("_id",),
        copy=Copy("friendships", "pair", shape=_other),
    ),
    Holding(Circle, {"_id": Delete()}, copy="a counter"),
    Holding(
        SuggestionList,
        {"_id": Delete(), "people.id": Delete()},
        copy="made anew from the other files when it is asked for",
    ),
    Holding(
        Dismissals,
        {"_id": Delete(), "people": TakeOut()},
        copy=Copy("dismissed_suggestions", "_id", ("people",)),
    ),
    Holding(Untold, {"pair": Delete()}, others=("_id", "change"), copy="news on their way"),
    Holding(
        Block,
        {"blocker": Delete(), "blocked": Delete()},
        others=("_id",),
        copy=Copy("blocks", "blocker", ("blocked", "at")),
    ),
)
_CONVERSATIONS = (
    Holding(
        Message,
        {
            "sender": Silence(),
            "to": Elsewhere("Conversation.pair"),
            "reactions.*": Elsewhere("reactors"),
            "reactors": Unreact(),
        },
        others=("_id", "conversation", "reply_to"),
        copy=Copy(
            "messages",
            "sender",
            (
                "_id",
                "conversation",
                "seq",
                "to",
                "text",
                "media_url",
                "media_type",
                "reply_to",
                "created_at",
                "edited_at",
                "deleted_at",
            ),
        ),
        also=(Copy("reactions", "reactors", shape=own_reactions),),
    ),
    Holding(
        MessageWords,
        {"sender": Delete()},
        others=("_id", "conversation", "grams"),
        copy="parts of words of messages, which are copied whole",
    ),
    Holding(WordsRead, {}, others=("_id",), copy="about conversations"),
    Holding(WordsSweep, {}, others=("_id",), copy="about nobody"),
    Holding(
        Conversation,
        {"pair": Closed(), "created_by": Replace(), "gone": Keep("Pseudonyms.")},
        others=("_id",),
        copy=Copy("conversations", in_which, ("_id", "kind", "name", "member_count", "created_at")),
    ),
    Holding(
        Departure,
        {"user": Forsaken(), "heir": Replace()},
        others=("_id", "conversation"),
        copy="kept for a day, until everyone has been told",
    ),
    Holding(
        Member,
        {"user": DeleteLast()},
        others=("_id", "conversation"),
        copy=Copy(
            "memberships", "user", ("conversation", "role", "joined_at", "read_seq", "read_at", "muted")
        ),
    ),
)
_MODERATION = (
    Holding(
        Case,
        {
            "subject_id": ReplaceWith("target_id"),
            "target_id": Elsewhere("subject_id"),
            "claimed_by": Replace(),
            "decided_by": Replace(),
        },
        others=("_id", "sanction_id"),
        copy="what others have reported",
    ),
    Holding(
        Report,
        {
            "reporter": Replace(),
            "target_id": Elsewhere("documents.personal.traces"),
            "evidence": Keep("Moderators decide on it, and it expires. Ids in it are replaced."),
        },
        others=("_id", "case_id"),
        copy=Copy(
            "reports",
            "reporter",
            ("target_type", "target_id", "reason", "text", "state", "created_at", "decided_at"),
        ),
    ),
    Holding(ReportCount, {}, copy="a counter, under a hash, for two days"),
    Holding(
        Sanction,
        {"user_id": Replace(), "issued_by": Replace(), "reversed_by": Replace()},
        others=("_id", "case_id"),
        copy=Copy("sanctions", "user_id", ("action", "reason", "issued_at", "until", "state", "reversed_at")),
    ),
)
_NOTIFICATIONS = (
    Holding(
        Notification,
        {
            "user": Delete(),
            "actor": Delete(),
            "key": Elsewhere("actor"),
            "data": Elsewhere("actor"),
        },
        others=("_id",),
        copy=Copy("notifications", "user", ("type", "text", "created_at", "at", "read_at", "state")),
    ),
    Holding(
        Board,
        {
            "_id": Delete(),
            "pending.notification.user": Elsewhere("_id"),
            "pending.actor": _ON_ITS_WAY,
            "pending.notification.actor": _ON_ITS_WAY,
        },
        others=("pending.notification._id", "pending.notification.data", "pending.ids", "pending.dismiss"),
        copy="changes on their way to devices",
    ),
    Holding(
        NotificationChoices,
        {"_id": Delete()},
        others=("quiet_hours",),
        copy=Copy("notification_choices", "_id", ("types", "quiet_hours")),
    ),
)
_OTHERS = (
    Holding(
        Media,
        {"owner": Elsewhere("realtime.features.media, whose bytes go first"), "refs": Elsewhere("owner")},
        others=("_id", "folder", "files.key", "source.key"),
        copy=Copy("uploads", "owner", ("_id", "filename", "width", "height", "duration", "uploaded_at")),
    ),
    Holding(Presence, {"_id": Delete()}, copy=Copy("presence", "_id", ("last_seen", "hidden_since"))),
    Holding(
        PushDevice,
        {"user_id": Delete()},
        others=("_id", "login_id", "token"),
        copy=Copy("devices", "user_id", ("platform", "created_at", "seen_at")),
    ),
    Holding(
        PushDelivery,
        {"user_id": Delete()},
        others=("_id", "device_id", "key", "mark", "content", "claim"),
        copy="notifications on their way to devices",
    ),
    Holding(
        Update,
        {"user": Delete(), "data": Elsewhere("documents.personal.traces"), "key": Elsewhere("data")},
        copy="news for devices of what the other files hold",
    ),
    Holding(
        Deletion,
        {"user_id": Elsewhere("finish"), "by": Elsewhere("finish"), "pseudonym": Keep("Goes with it.")},
        others=("_id", "lease"),
        copy="who is leaving has no copies made",
    ),
    Holding(Export, {"_id": Delete()}, others=("archive",), copy="about copies"),
    Holding(ExportPart, {"user_id": Delete()}, others=("archive",), copy="the copies themselves"),
)
HOLDINGS: tuple[Holding, ...] = (
    *_OTHERS,
    *_NOTIFICATIONS,
    *_MODERATION,
    *_FRIENDS,
    *_CONVERSATIONS,
    *_ACCOUNTS,
)
"""In the order in which they are erased; what is done last is done in this order, too."""
